"""The bank of memories: items and critiques with their versions, standing, uses and lineage.

Every change is one transaction that writes to the journal first; all tables follow from it. So a
killed process leaves nothing half done, and the bank can be made again from what was done to it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict, Unpack

from sqlalchemy import ColumnElement, func, select

from memory.bank import changes, erasure
from memory.bank.forgetting import Forgetting
from memory.bank.provenance import check_new
from memory.knowledge.admission import Decision
from memory.knowledge.items import Critique, Item, Lesson, Recalled, Standing
from memory.knowledge.journal import ITSELF, Deed, Entry
from memory.knowledge.wire import (
    Content,
    id_of,
    item_of,
    recalls_to_json,
    tags_to_json,
    wrote_critique,
)
from memory.recall import recalls
from memory.store import fulltext, projection
from memory.store.database import Opened, writing
from memory.store.errors import UnknownIdError
from memory.store.schema import ADVICE, CRITIQUE, ITEM, JOURNAL
from memory.store.vectors import Key, Vector, lacking, load_vectors, put_vectors

if TYPE_CHECKING:
    from memory.proof.credit import Tag, Use


class ItemFilters(TypedDict, total=False):
    """Which items are meant; None or left out: any."""

    standing: Standing | None
    environment: str | None
    kind: str | None  # the task type; empty: only general ones
    type: type[Item] | None


class Bank(Opened):
    """Safe to share between threads; any number of processes may open the same one."""

    def add(self, item: Item, *, by: str = ITSELF, why: str = "") -> Item:
        """Store a new item as a candidate, and return it with the id it was given.

        Raises:
            RefusedError: it may not enter memory; see `memory.knowledge.admission`.
            HeldOutError: a source episode is not of a train task.
            UnknownIdError: a source episode, or what the item says it is made of, is not stored.
        """
        return self.add_all([item], by=by, why=why)[0]

    def add_all(self, items: Iterable[Item], *, by: str = ITSELF, why: str = "") -> list[Item]:
        """Store new items together or not at all; see `add`."""
        with writing(self._engine).begin() as connection:
            return changes.add(connection, list(items), by, why)

    def revise(self, item: Item, *, by: str = ITSELF, why: str = "") -> Item:
        """Store a changed item as its next version, and return that.

        New words must prove themselves again, so the item becomes a candidate; where only the
        provenance is new, it stays where it stands.

        Raises:
            StaleError: it is not the current version that was changed.
        """
        with writing(self._engine).begin() as connection:
            return changes.revise(connection, item, by, why)

    def settle(self, item: Item, decision: Decision, *, by: str = ITSELF) -> Item:
        """Carry out what `admission.decide` decided about a new item; return what holds it now."""
        with writing(self._engine).begin() as connection:
            return changes.settle(connection, item, decision, by)

    def set_standing(
        self, id: str, standing: Standing, why: str, at: datetime, *, by: str = ITSELF
    ) -> Item:
        """Move an item, and return it as it stands then.

        Raises:
            IllegalMoveError: an item cannot go there from where it stands; see `changes.MOVES`.
        """
        with writing(self._engine).begin() as connection:
            return changes.move(connection, id, standing, at, by=by, why=why)

    def criticize(self, critique: Critique, *, by: str = "") -> Critique:
        """Store a new critique, and return it with the id it was given; refused as `add` refuses.

        Args:
            critique: what a critic said.
            by: empty: the critic itself.
        """
        return self.learn(critique, by=by)[0]

    def learn(
        self,
        critique: Critique,
        lesson: tuple[Lesson, Decision] | None = None,
        tags: Mapping[str, "Tag"] | None = None,
        *,
        by: str = "",
    ) -> tuple[Critique, Item | None]:
        """Store all that a critic said of one episode together or not at all; see `criticize`.

        So whoever finds the critique need not ask whether its lesson was lost.

        Args:
            critique: what it said of the attempt.
            lesson: what comes of it, still without the critique's id, and what was decided of it.
            tags: what it said of the items that were shown, by their ids.
            by: empty: the critic itself.
        """
        by = by or critique.source.critic or ITSELF
        with writing(self._engine).begin() as connection:
            check_new(connection, [critique])
            named = replace(critique, id=id_of(critique, projection.next_seq(connection)))
            projection.record(connection, [wrote_critique(named, 1, by, "")])
            if tags:
                projection.record(connection, [_tagged(critique, tags, by)])
            if lesson is None:
                return named, None
            item, decision = lesson
            return named, changes.settle(
                connection, replace(item, critique=named.id), decision, ITSELF
            )

    def log_uses(self, recalled: Sequence[Recalled], *, by: str = ITSELF) -> None:
        """Note what was recalled for one episode. Of an item noted before, the first note stays."""
        if len(episodes := {use.episode for use in recalled}) > 1:
            raise ValueError(f"recalls of {len(episodes)} episodes; note those of one at a time")
        told = recalls_to_json(recalled)
        for first in recalled[:1]:
            self._tell(
                Entry(at=first.at, deed=Deed.RECALLED, subject=first.episode, by=by, content=told)
            )

    def put_vectors(self, model: str, vectors: Mapping[Key, Vector]) -> None:
        """Keep the embeddings of versions; those overtaken by a revision are passed over."""
        with writing(self._engine).begin() as connection:
            put_vectors(connection, model, vectors)

    def forget(self, episode: str, why: str, at: datetime, *, by: str = ITSELF) -> Forgetting:
        """Remove an episode and its words from all that was derived from it, and say what went.

        What rests on nothing else is removed; the rest stays without it, as a new version. In the
        journal remains that something was there, not what it said.
        """
        with writing(self._engine).begin() as connection:
            plan = erasure.plan(connection, episode)
            erasure.carry_out(connection, plan, at=at, by=by, why=why)
        return plan

    def would_forget(self, episode: str) -> Forgetting:
        """Return what `forget` would do, and do nothing."""
        with self._engine.connect() as connection:
            return erasure.plan(connection, episode)

    def get(self, id: str, version: int | None = None) -> Item:
        """Return a version of an item.

        Args:
            id: of the item.
            version: None: the current one.

        Raises:
            UnknownIdError: there is none, or what it said was forgotten.
        """
        with self._engine.connect() as connection:
            item = changes.current(connection, id)
        if version in (None, item.version):
            return item
        for older in self.versions(id):
            if older.version == version:
                return older
        raise UnknownIdError(f"{id} has no version {version}, or its episode was forgotten")

    def some(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids, oldest first; unknown ids are passed over."""
        with self._engine.connect() as connection:
            return projection.items(connection, [ITEM.c.id.in_(ids)])

    def versions(self, id: str) -> list[Item]:
        """Return the versions of an item, oldest first, each as it stood when it was written."""
        return [item_of(entry) for entry in self.history(id) if entry.content is not None]

    def history(self, id: str) -> list[Entry]:
        """Return all that was done to an item or a critique or told of an episode, in order."""
        query = select(JOURNAL).where(JOURNAL.c.subject == id).order_by(JOURNAL.c.seq)
        with self._engine.connect() as connection:
            return [Entry(**found) for found in connection.execute(query).mappings()]

    def items(self, **filters: Unpack[ItemFilters]) -> list[Item]:
        """Return the current versions of the matching items, oldest first."""
        with self._engine.connect() as connection:
            return projection.items(connection, _matching(filters))

    def count(self, **filters: Unpack[ItemFilters]) -> int:
        query = select(func.count()).select_from(ITEM).where(*_matching(filters))
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def advice(self, environment: str, kind: str, limit: int) -> list[str]:
        """Return the ids of the newest active lessons and skills of exactly this type of task."""
        query = (
            select(ITEM.c.id)
            .where(*_matching({"environment": environment, "kind": kind}))
            .where(ADVICE)
            .order_by(ITEM.c.number.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def search_text(
        self, query: str, limit: int, **filters: Unpack[ItemFilters]
    ) -> list[tuple[str, float]]:
        """Return the ids of the items that fit the words best, best first, with BM25 scores."""
        with self._engine.connect() as connection:
            return fulltext.search(connection, query, limit, _matching(filters))

    def vectors(self, model: str, **filters: Unpack[ItemFilters]) -> tuple[list[Key], Vector]:
        """Return (id, version) of the current versions with a vector, and one row for each."""
        with self._engine.connect() as connection:
            return load_vectors(connection, model, _matching(filters))

    def missing_vectors(self, model: str) -> list[Item]:
        """Return the items whose current version has no vector of this model, oldest first."""
        with self._engine.connect() as connection:
            return projection.items(connection, [lacking(model)])

    def critiques(self, episode: str) -> list[Critique]:
        """Return what critics said of an episode, oldest first."""
        with self._engine.connect() as connection:
            return projection.critiques(connection, [CRITIQUE.c.episode == episode])

    def critique(self, id: str) -> Critique:
        with self._engine.connect() as connection:
            for found in projection.critiques(connection, [CRITIQUE.c.id == id]):
                return found
        raise UnknownIdError(f"no critique has the id {id!r}")

    def uses(self, item: str) -> list["Use"]:
        """Return what an item did, oldest first: the uses that count for its credit.

        Those of train tasks only, since nothing is learned from others, and only of episodes that
        are stored and not broken.
        """
        with self._engine.connect() as connection:
            return recalls.uses(connection, item)

    def outcomes(self) -> dict[str, tuple[int, int]]:
        """Return (solved, shown) by item: in how many episodes it was shown, and how they ended."""
        with self._engine.connect() as connection:
            return recalls.outcomes(connection)

    def recalled(self, episode: str) -> list[Recalled]:
        """Return what was recalled for an episode, shown or not."""
        with self._engine.connect() as connection:
            return recalls.recalled(connection, episode)

    def derived(self, episode: str) -> list[Content]:
        """Return all whose current version came from an episode: critiques first, oldest first."""
        with self._engine.connect() as connection:
            critiques, items = erasure.derived(connection, episode)
        return [*critiques, *items]

    def rebuild(self) -> None:
        """Make every table again from the journal; the vectors stay."""
        with writing(self._engine).begin() as connection:
            projection.rebuild(connection)

    def integrity(self) -> tuple[str, ...]:
        """Return the tables that differ from what the journal says, one line each.

        Nobody else can write while it looks, some 10 s for 100,000 items.
        """
        with writing(self._engine).connect() as connection:
            found = projection.contents(connection)
            projection.rebuild(connection)
            told = projection.contents(connection)
            connection.rollback()
        return tuple(
            f"table {name!r} differs from the journal; rebuild the bank from it"
            for name in found
            if found[name] != told[name]
        )

    def _tell(self, entry: Entry) -> None:
        with writing(self._engine).begin() as connection:
            projection.record(connection, [entry])


def _matching(filters: ItemFilters) -> list[ColumnElement[bool]]:
    conditions = [
        ITEM.c[name] == value
        for name, value in filters.items()
        if name != "type" and value is not None
    ]
    if kind := filters.get("type"):
        conditions.append(ITEM.c.type == projection.word_of(kind))
    return conditions


def _tagged(critique: Critique, tags: Mapping[str, "Tag"], by: str) -> Entry:
    made, episode = critique.source.made, critique.episode
    return Entry(at=made, deed=Deed.TAGGED, subject=episode, by=by, content=tags_to_json(tags))
