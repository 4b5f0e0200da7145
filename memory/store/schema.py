"""The tables, as SQLAlchemy Core sees them; migrations bring a database to this form.

Bodies stand apart from rows so that a listing never reads past them.
"""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from environments.episode import Ending, Split
from memory.knowledge.items import Standing
from memory.knowledge.journal import Deed

HEAD = "0007"
"""The newest migration: a database that says so is opened without loading Alembic."""

TALLIED = ("steps", "prompt_tokens", "completion_tokens", "started", "ending", "split", "policy")
"""Columns that a tally of a run is made of."""

FILTERS = ("environment", "split", "kind", "ending", "policy")
"""Columns that many episodes share, by which they are filtered, often by several at once."""

ADVICE = text("standing = 'active' AND type IN ('lesson', 'skill')")
"""Which items are advice in use, in just these words: no database believes of a bound value that it
is the one that its index is of."""

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """A moment, kept in UTC whatever zone it was given in. SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"naive time {value!r}")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> String:
    """Return the type of an id: ordered by bytes, so that a prefix is a range everywhere."""
    return String().with_variant(String(collation="C"), "postgresql")


def _one_of(words: type[StrEnum]) -> Enum:
    """Return the type of a word kept as plain text, so that a new word needs no migration."""
    return Enum(words, native_enum=False, length=16, values_callable=_spellings)


def _spellings(words: type[StrEnum]) -> list[str]:
    return [word.value for word in words]


RUN = Table(
    "run",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("environment", String, nullable=False),
    Column("split", _one_of(Split), nullable=False),
    Column("policy", String, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("episodes", Integer, nullable=False),
    Column("started", Instant, nullable=False),
    Column("settings", Text, nullable=False),
    Column("finished", Instant, nullable=True),
    Index("run_by_age", "started", "id"),
)

EPISODE = Table(
    "episode",
    metadata,
    Column("id", _id(), primary_key=True),
    # No foreign key: an imported episode names a run of the store that it came from.
    Column("run", _id(), nullable=False),
    Column("task_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("split", _one_of(Split), nullable=False),
    Column("kind", String, nullable=False),
    Column("goal", Text, nullable=False),
    Column("ending", _one_of(Ending), nullable=False),
    Column("policy", String, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("reward", Float, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("started", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    Index("episode_by_age", "started", "id"),
    # Each filter with the age, so that the newest fifty are read in order and no more than those;
    # and with the others, so that a row which one of them drops is not read: a fifth of the time.
    Index("episode_by_run", "run", "started", "id"),
    *(
        Index(f"episode_by_{name}", name, "started", "id", *(o for o in FILTERS if o != name))
        for name in FILTERS
    ),
    # All that a run amounts to, read from here alone: a tally of a thousand episodes takes 1 ms.
    Index("episode_by_tally", "run", *TALLIED),
)

BODY = Table(
    "episode_body",
    metadata,
    Column("episode", _id(), ForeignKey("episode.id"), primary_key=True),
    Column("packed", LargeBinary, nullable=False),
)

JOURNAL = Table(
    "journal",
    metadata,
    # Given by us: the highest is never deleted, so no number and no id made of it comes twice.
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("deed", _one_of(Deed), nullable=False),
    Column("subject", _id(), nullable=False),
    Column("version", Integer, nullable=True),
    Column("standing", _one_of(Standing), nullable=True),
    Column("by", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("content", Text, nullable=True),
    Index("journal_by_subject", "subject", "seq"),
)

# All below follows from the journal, but for the vectors, which follow from it and a model.

ITEM = Table(
    "item",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("type", String(16), nullable=False),
    Column("environment", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("standing", _one_of(Standing), nullable=False),
    Column("entry", Integer, ForeignKey("journal.seq"), nullable=False),  # holds this version
    Index("item_by_kind", "environment", "kind", "number"),
    Index("item_by_standing", "standing", "number"),
    # Of a type's demonstrations, among which there may be none of these, not one is read: at 10^5
    # items of six types 17 ms without it.
    Index(
        "item_by_advice",
        *("environment", "kind", "number"),
        sqlite_where=ADVICE,
        postgresql_where=ADVICE,
    ),
)

CRITIQUE = Table(
    "critique",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("episode", _id(), ForeignKey("episode.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("entry", Integer, ForeignKey("journal.seq"), nullable=False),
    Index("critique_by_episode", "episode", "number"),
)

SOURCE = Table(
    "source",
    metadata,
    Column("subject", _id(), primary_key=True),  # an item or a critique
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("episode", _id(), ForeignKey("episode.id"), primary_key=True),
    Index("source_by_episode", "episode"),
)

RECALL = Table(
    "recall",
    metadata,
    # No foreign key: an episode is briefed before it is played, and stored after.
    Column("episode", _id(), primary_key=True),
    Column("item", _id(), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("run", _id(), nullable=False),
    Column("shown", Boolean, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("at", Instant, nullable=False),
    Column("tag", String(16), nullable=True),
    Index("recall_by_item", "item", "at"),
)

VECTOR = Table(
    "vector",
    metadata,
    Column("model", String, primary_key=True),
    Column("item", _id(), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    Index("vector_by_item", "item"),
)

# What follows from nothing but the attempts that were played for it.

TRIAL = Table(
    "trial",
    metadata,
    # No foreign key: what an item that is gone has cost of the error to be spent stays spent.
    Column("item", _id(), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("level", Float, nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("opened", Instant, nullable=False),
    Column("result", String(16), nullable=True),
    Column("ended", Instant, nullable=True),
)

TRIAL_PAIR = Table(
    "trial_pair",
    metadata,
    Column("item", _id(), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("task", String, nullable=False),
    Column("incumbent", Boolean, nullable=False),
    Column("candidate", Boolean, nullable=False),
)

ROUND = Table(
    "round",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("seed", BigInteger, nullable=False),
    Column("settings", Text, nullable=False),
    Column("started", Instant, nullable=False),
    Column("finished", Instant, nullable=True),
)

STAGE = Table(
    "stage",
    metadata,
    Column("round", _id(), ForeignKey("round.id"), primary_key=True),
    Column("name", String(16), primary_key=True),
    Column("report", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

VERDICT = Table(
    "verdict",
    metadata,
    Column("candidate", _id(), primary_key=True),  # an adapter
    Column("number", Integer, nullable=False, unique=True),
    Column("level", Float, nullable=False),
    Column("opened", Instant, nullable=False),
    Column("outcome", String(16), nullable=True),
    Column("decided", Instant, nullable=True),
)
