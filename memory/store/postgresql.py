"""What is PostgreSQL's own: who waits for whom, what its errors mean, full text as tsvector.

The same functions as in `memory.store.sqlite`; see `memory.store.dialect` for what they promise.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from importlib.util import find_spec
from typing import Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Insert,
    Table,
    TableClause,
    cast,
    create_engine,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.engine import URL, ExceptionContext

from memory.store.errors import StoreError

NAME = "postgresql"
DRIVER = "psycopg"

REACH_S = 10
"""How long to wait for a server to answer, seconds; one in the same building takes milliseconds."""

ONE_WRITER = 7_303_014_107_351_210_355
"""Number of the advisory lock that whoever writes alone holds; the letters "eXPeriSs" as a word,
so that no other program of the same database is likely to have it."""

GONE = "the server is not there ({reason}); start it and resume: what was stored before is kept"

REFUSED = "it refused: {reason}; mend the URL, PGPASSWORD or ~/.pgpass, or make it with createdb"

REMEDIES = {
    "08": GONE,  # connection exceptions
    "57P": GONE,  # shut down, crashed, still starting
    "28": "it refused the user or the password; mend the URL, PGPASSWORD or ~/.pgpass",
    "3D000": "it has no such database; make it with createdb",
    "25006": "it is read-only, a standby perhaps; name the primary",
    "42501": "the user may not do this; grant it CREATE on the schema, or make it the owner",
    "53100": "its disk is full; free some space and resume: what was stored before is kept",
    "53": "it is out of connections or memory; close some, then resume ({reason})",
    "55P03": "another process kept it locked too long; end that process or try again later",
    "57014": "a statement took longer than the server allows; raise its statement_timeout",
    "XX": "its files are damaged ({reason}); restore a backup",
}
"""What to do, by the beginning of the SQLSTATE; the first that fits is taken."""

CONFIGURATION = "apprentice"
"""The text search configuration that the migrations make: Porter's stems and no stop words, as in
FTS5 on SQLite, so that the same words find the same things."""

LONGEST = 200_000
"""Characters of a text that are indexed: a tsvector takes 2^20 bytes, and a character up to 4."""


def connect(url: URL, busy_s: float) -> Engine:
    if find_spec(DRIVER) is None:
        raise StoreError("PostgreSQL needs psycopg; pip install 'skill-apprentice[postgres]'")
    patience = f"-c lock_timeout={round(busy_s * 1000)} -c timezone=UTC"
    engine = create_engine(
        url.set(drivername=f"{NAME}+{DRIVER}"),
        connect_args={"connect_timeout": REACH_S, "options": patience},
        isolation_level="REPEATABLE READ",  # whoever reads sees one moment, as on SQLite
        pool_pre_ping=True,  # a server that was started again meanwhile is not noticed
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", partial(_explain, url.render_as_string()))
    return engine


def writing(engine: Engine, *, alone: bool) -> Engine:
    """Return the engine for transactions that write.

    READ COMMITTED, so that one that has waited for another reads what that one wrote.
    """
    return engine.execution_options(alone=alone, isolation_level="READ COMMITTED")


def insert_new(table: Table) -> Insert:
    new = postgresql.insert(table).on_conflict_do_nothing()
    return new.execution_options(preserve_rowcount=True)  # else nobody counts what was new


def add_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    given, arrays = _unnested(connection, [table.c[name] for name in rows[0]], rows)
    named = ", ".join(f'"{name}"' for name in rows[0])
    inserted = f"INSERT INTO {table.name} ({named}) SELECT * FROM {given} ON CONFLICT DO NOTHING"
    return connection.exec_driver_sql(inserted, arrays).rowcount


def settle(connection: Connection) -> None:
    """Refuse a database that cannot hold every text."""
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StoreError(
            f"the database {connection.engine.url.database!r} is encoded in {encoding}; "
            "make one with createdb --encoding UTF8 --template template0"
        )


def faults(connection: Connection) -> Iterator[str]:
    """Yield indexes that are not whole; foreign keys hold, and damaged files show when read."""
    broken = text("SELECT CAST(indexrelid::regclass AS text) FROM pg_index WHERE NOT indisvalid")
    for name in connection.scalars(broken):
        yield f"the index {name} is not whole; REINDEX INDEX {name}"


def put_words(
    connection: Connection, table: TableClause, rows: Sequence[Mapping[str, Any]]
) -> None:
    # Of episodes only the different words are indexed, which need no positions.
    made = "strip({})" if "episode" in rows[0] else "{}"
    vector = made.format(f"to_tsvector('{CONFIGURATION}', words)")
    named = ", ".join(name for name in rows[0] if name != "words")
    plain = [{**row, "words": _plain(row["words"])[:LONGEST]} for row in rows]
    given, arrays = _unnested(connection, [table.c[name] for name in rows[0]], plain)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({named}, words) SELECT {named}, {vector} FROM {given} "
        "ON CONFLICT DO NOTHING",
        arrays,
    )


def asked(terms: Sequence[str], *, together: bool) -> str:
    return (" & " if together else " | ").join(f"'{_plain(term)}'" for term in terms)


def answers(table: TableClause, asked: ColumnElement[str]) -> ColumnElement[bool]:
    return table.c.words.op("@@", is_comparison=True)(_question(asked))


def fit(table: TableClause, counts: Mapping[str, int]) -> ColumnElement[float]:
    """Return how well a text fits the terms, much as BM25 would (Robertson and Zaragoza 2009).

    Like it, a rare term weighs more, by the logarithm of its rarity, and a term said again and
    again weighs little more than one said twice: `ts_rank` sums 1 / n^2 over its places. Unlike
    it, a long text is divided by 1 + the logarithm of its length, which is what `ts_rank` offers.
    """
    texts = cast(select(func.max(table.c.rowid)).scalar_subquery(), Float)
    ranks = (
        func.ln(1 + texts / (count + 0.5)) * _rank(table, term) for term, count in counts.items()
    )
    return reduce(lambda one, other: one + other, ranks)


def _unnested(
    connection: Connection, columns: Sequence[ColumnClause[Any]], rows: Sequence[Mapping[str, Any]]
) -> tuple[str, dict[str, list[Any]]]:
    """Return rows as a table of SQL with an array for each column, and the arrays.

    One statement for all rows: to bind, send and answer one for each is most of what storing an
    episode costs us beyond the making of its bytes.
    """
    arrays: dict[str, list[Any]] = {}
    casts: list[str] = []
    for column in columns:
        kind = column.type.dialect_impl(connection.dialect)
        # Of one kind throughout: an array of 1.5 and 2 is none to the driver.
        bound = kind.bind_processor(connection.dialect) or (
            float if isinstance(kind, Float) else _itself
        )
        arrays[column.name] = [bound(row[column.name]) for row in rows]
        named = column.type.compile(connection.dialect).partition(" COLLATE")[0]
        casts.append(f"%({column.name})b::{named}[]")
    names = ", ".join(f'"{column.name}"' for column in columns)
    return f"unnest({', '.join(casts)}) AS new ({names})", arrays


def _itself(value: object) -> object:
    return value


def _rank(table: TableClause, term: str) -> ColumnElement[float]:
    divided_by_log_length = 1
    question = _question(literal(asked([term], together=True)))
    return func.ts_rank(table.c.words, question, divided_by_log_length)


def _question(asked: ColumnElement[str]) -> ColumnElement[Any]:
    return func.to_tsquery(cast(literal(CONFIGURATION), REGCONFIG), asked)


def _plain(words: str) -> str:
    """Return a text without accents, as FTS5 takes it; nor NUL, which PostgreSQL keeps nowhere."""
    if words.isascii():
        return words.replace("\0", " ")
    parts = unicodedata.normalize("NFD", words.replace("\0", " "))
    return "".join(part for part in parts if not unicodedata.combining(part))


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("alone", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_WRITER})")


def _explain(shown: str, context: ExceptionContext) -> StoreError | None:
    """Return what is raised in place of an error of PostgreSQL; None: the error itself."""
    error = context.original_exception
    state: str | None = getattr(error, "sqlstate", None)
    if state is None and (context.is_disconnect or type(error).__name__ == "OperationalError"):
        return StoreError(f"cannot use the store {shown!r}: {_unconnected(str(error))}")
    for beginning, remedy in REMEDIES.items():
        if (state or "").startswith(beginning):
            said = remedy.format(reason=_reason(str(error)))
            return StoreError(f"cannot use the store {shown!r}: {said}")
    return None


def _unconnected(words: str) -> str:
    reason = _reason(words)
    answered = "FATAL" in words and "the database system is" not in words
    return (REFUSED if answered else GONE).format(reason=reason)


def _reason(words: str) -> str:
    r"""Return what went wrong in the end, without what leads to it.

    >>> _reason('connection to server at "::1" failed: Connection refused\n  Is it running?')
    'Connection refused'
    """
    lines = words.strip().splitlines() or ["no answer"]
    telling = [line for line in lines if "failed: " in line or "FATAL" in line] or lines[:1]
    last = telling[-1]
    for before in ("failed: ", "FATAL:  "):
        last = last.rpartition(before)[2]
    return last.strip()
