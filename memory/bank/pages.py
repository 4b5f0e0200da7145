"""What a window on the store shows at once: pages found by keys, tallies by run, filters.

Nothing here reads more than a page or an index, but for the tallies, which read the runs asked
for: so a hundred thousand episodes are looked through as fast as
a hundred.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    case,
    cast,
    func,
    select,
    tuple_,
)
from sqlalchemy.sql.selectable import ScalarSelect

from environments.episode import Ending, Split
from memory.bank.bank import ItemFilters
from memory.knowledge.items import Item
from memory.knowledge.journal import Deed, Entry
from memory.store import fulltext, projection
from memory.store.database import Opened
from memory.store.projection import word_of
from memory.store.records import EpisodeRow
from memory.store.schema import EPISODE, ITEM, JOURNAL, RUN, Instant
from memory.store.store import Filters

FILTERS = ("environment", "kind", "split", "ending", "policy")
"""By what episodes can be filtered, and has an index whose different values are few."""

SEEN = 5_000
"""Newest episodes of a type among which other attempts at a task are looked for: no index is of the
task, and these are read in 30 ms."""

CHANGES = (Deed.ADDED, Deed.REVISED, Deed.MERGED, Deed.SUPERSEDED, Deed.MOVED, Deed.REMOVED)
"""Deeds after which memory holds something else."""

MOST_VALUES = 40
"""Different values of a filter that are offered: more than these nobody chooses from a list."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some episodes, and where the next page begins."""

    rows: tuple[EpisodeRow, ...]
    older: str | None  # the id to ask with for what is older; None: this is the last page


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items, and where the next page begins."""

    items: tuple[Item, ...]
    older: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """What the stored episodes of one run amount to."""

    run: str
    policy: str
    split: Split
    episodes: int
    solved: int
    broken: int
    steps: int
    prompt_tokens: int
    completion_tokens: int
    first: datetime
    last: datetime


class Pages(Opened):
    """A reader of the database of a store and its bank."""

    def episodes(
        self, *, words: str = "", limit: int, before: str | None = None, **filters: Unpack[Filters]
    ) -> Page:
        """Return the newest episodes that hold all of the words.

        Args:
            words: looked for in the goal, the type, the task's id, and all that was seen and done;
                with any, the episodes come in the order of their storing.
            limit: how many at most.
            before: where an earlier page said that the next begins.
            filters: which episodes.
        """
        found = [EPISODE.c[name] == each for name, each in filters.items() if each is not None]
        with self._engine.connect() as connection:
            held = fulltext.lived(connection, words)
            if held is not None:
                return _holding(connection, [held, *found], limit, before)
            if before is not None:
                found.append(tuple_(EPISODE.c.started, EPISODE.c.id) < _age(before))
            newest = select(*_ROW).where(*found).order_by(*_NEWEST).limit(limit + 1)
            rows = [EpisodeRow(**row) for row in connection.execute(newest).mappings()]
        more = len(rows) > limit
        return Page(tuple(rows[:limit]), rows[limit - 1].id if more else None)

    def choices(self) -> dict[str, tuple[str, ...]]:
        """Return the different values of each filter."""
        with self._engine.connect() as connection:
            return {name: _different(connection, EPISODE.c[name]) for name in FILTERS}

    def attempts(self, task: str, kind: str, *, limit: int) -> tuple[EpisodeRow, ...]:
        """Return the newest attempts at a task; looked for among the newest of its type."""
        recent = select(EPISODE.c.id).where(EPISODE.c.kind == kind).order_by(*_NEWEST).limit(SEEN)
        query = select(*_ROW).where(EPISODE.c.task_id == task, EPISODE.c.id.in_(recent))
        query = query.order_by(*_NEWEST).limit(limit)
        with self._engine.connect() as connection:
            return tuple(EpisodeRow(**row) for row in connection.execute(query).mappings())

    def tallies(self, runs: int) -> tuple[Tallied, ...]:
        """Return what the newest runs amount to, oldest first; one without episodes is left out."""
        newest = select(RUN.c.id).order_by(RUN.c.started.desc(), RUN.c.id.desc()).limit(runs)
        with self._engine.connect() as connection:
            ids = list(connection.scalars(newest))
            found = _tallies(connection, ids)
        return tuple(found[id] for id in reversed(ids) if id in found)

    def tally(self, run: str) -> Tallied | None:
        """Return what a run amounts to so far; None: it has no episode."""
        with self._engine.connect() as connection:
            return _tallies(connection, [run]).get(run)

    def items(
        self, *, limit: int, before: str | None = None, **filters: Unpack[ItemFilters]
    ) -> ItemPage:
        """Return the newest matching items, newest first."""
        found = _items_like(filters)
        if before is not None:
            found.append(ITEM.c.number < int(before))
        numbers = select(ITEM.c.number).where(*found).order_by(ITEM.c.number.desc())
        with self._engine.connect() as connection:
            page = list(connection.scalars(numbers.limit(limit + 1)))
            items = projection.items(connection, [ITEM.c.number.in_(page[:limit])])
        return ItemPage(tuple(items[::-1]), str(page[limit - 1]) if len(page) > limit else None)

    def changes(self, since: datetime, *, limit: int) -> tuple[Entry, ...]:
        """Return the newest deeds that changed what memory holds, newest first."""
        query = select(JOURNAL).where(JOURNAL.c.deed.in_(CHANGES)).order_by(JOURNAL.c.seq.desc())
        with self._engine.connect() as connection:
            found = connection.execute(query.limit(limit)).mappings()
            return tuple(Entry(**row) for row in found if row["at"] >= since)

    def standings(self) -> dict[str, int]:
        """Return how many items stand how."""
        query = select(ITEM.c.standing, func.count()).group_by(ITEM.c.standing)
        with self._engine.connect() as connection:
            return {standing.value: many for standing, many in connection.execute(query)}


_ROW = [EPISODE.c[field.name] for field in fields(EpisodeRow)]
_NEWEST = (EPISODE.c.started.desc(), EPISODE.c.id.desc())


def _holding(
    connection: Connection, found: list[ColumnElement[bool]], limit: int, before: str | None
) -> Page:
    """Return the episodes stored last whose words were found."""
    place = fulltext.LIVED.c.rowid
    if before is not None and before.isdecimal():
        found = [*found, place < int(before)]
    query = (
        select(place.label("place"), *_ROW)
        .join_from(fulltext.LIVED, EPISODE, EPISODE.c.id == fulltext.LIVED.c.episode)
        .where(*found)
        .order_by(place.desc())
        .limit(limit + 1)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    places = [row.pop("place") for row in rows]
    more = len(rows) > limit
    return Page(
        tuple(EpisodeRow(**row) for row in rows[:limit]), str(places[limit - 1]) if more else None
    )


def _age(id: str) -> ScalarSelect[Any]:
    """Return what listings are ordered by, of one episode; one that is gone is older than all."""
    return select(EPISODE.c.started, EPISODE.c.id).where(EPISODE.c.id == id).scalar_subquery()


def _different(connection: Connection, wanted: Column[Any]) -> tuple[str, ...]:
    """Return the different values of an indexed column, found by jumps from one to the next."""
    found: list[str] = []
    next_one = connection.scalar(select(func.min(wanted)))
    while next_one is not None and len(found) < MOST_VALUES:
        found.append(str(next_one))
        next_one = connection.scalar(select(func.min(wanted)).where(wanted > next_one))
    return tuple(found)


def _tallies(connection: Connection, runs: Sequence[str]) -> dict[str, Tallied]:
    """Return what the episodes of these runs amount to, by run; read from one index alone."""
    query = select(
        EPISODE.c.run,
        func.max(EPISODE.c.policy).label("policy"),
        func.max(EPISODE.c.split, type_=EPISODE.c.split.type).label("split"),
        func.count().label("episodes"),
        _many(Ending.SOLVED).label("solved"),
        _many(Ending.BROKEN).label("broken"),
        func.sum(EPISODE.c.steps).label("steps"),
        cast(func.sum(EPISODE.c.prompt_tokens), BigInteger).label("prompt_tokens"),
        cast(func.sum(EPISODE.c.completion_tokens), BigInteger).label("completion_tokens"),
        func.min(EPISODE.c.started, type_=Instant()).label("first"),
        func.max(EPISODE.c.started, type_=Instant()).label("last"),
    ).where(EPISODE.c.run.in_(runs))
    found = connection.execute(query.group_by(EPISODE.c.run)).mappings()
    return {row["run"]: Tallied(**row) for row in found}


def _many(ending: Ending) -> ColumnElement[int]:
    return func.sum(case((EPISODE.c.ending == ending, 1), else_=0))


def _items_like(filters: ItemFilters) -> list[ColumnElement[bool]]:
    conditions = [
        ITEM.c[name] == value
        for name, value in filters.items()
        if name != "type" and value is not None
    ]
    if kind := filters.get("type"):
        conditions.append(ITEM.c.type == word_of(kind))
    return conditions
