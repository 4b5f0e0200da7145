"""The system of record: every episode, kept once and never changed.

SQL is the truth; whatever else is built from episodes can be built again from here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, TypedDict, Unpack

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    func,
    literal,
    select,
    tuple_,
    update,
)

from environments.episode import Ending, Episode, Split
from memory.store import fulltext
from memory.store.database import Opened, add_new, adding, structural_faults, writing
from memory.store.errors import StoreError, UnknownIdError
from memory.store.records import EpisodeRow, Run, row_of
from memory.store.schema import BODY, EPISODE, RUN, Instant

BATCH = 256
"""Episodes written in one transaction, and read at once: a megabyte, and some 0.1 s of waiting
for others who want to write."""

SHOWN = 4
"""How many ids an error lists when a prefix is ambiguous."""


class Filters(TypedDict, total=False):
    """Which episodes are meant; None or left out: any."""

    environment: str | None
    split: Split | None
    kind: str | None
    ending: Ending | None
    policy: str | None
    run: str | None


class Store(Opened):
    """Safe to share between threads; any number of processes may open the same one."""

    def add(self, episode: Episode) -> int:
        """Store an episode unless its id is stored already; return how many were new: 0 or 1."""
        return self.add_all([episode])

    def add_all(self, episodes: Iterable[Episode]) -> int:
        """Store those whose ids are not stored yet, and return how many that were.

        In batches, each wholly or not at all: an error keeps the batches before it.
        """
        remaining = iter(episodes)
        new = 0
        while batch := list(islice(remaining, BATCH)):
            new += self._insert(batch)
        return new

    def get(self, id: str) -> Episode:
        """Return the episode with this id, or the only one whose id begins so.

        Raises:
            UnknownIdError: there is none, or several.
        """
        with self._engine.connect() as connection:
            full = _find(connection, EPISODE, id)["id"]
            packed = connection.scalar(select(BODY.c.packed).where(BODY.c.episode == full))
        return _read(full, packed)

    def rows(
        self, *, limit: int = 50, before: str | None = None, **filters: Unpack[Filters]
    ) -> list[EpisodeRow]:
        """Return the newest matching episodes, newest first.

        Args:
            limit: how many at most.
            before: only those older than this one; the last id of one page gives the next page.
            filters: see `Filters`.
        """
        query = _newest(EPISODE, limit, *_COLUMNS).where(*_matching(filters))
        with self._engine.connect() as connection:
            if before is not None:
                query = query.where(_older_than(_find(connection, EPISODE, before)))
            return [_row(found) for found in connection.execute(query).mappings()]

    def count(self, **filters: Unpack[Filters]) -> int:
        query = select(func.count()).select_from(EPISODE).where(*_matching(filters))
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def episode_ids(self, run: str) -> set[str]:
        """Return the ids of the episodes of a run that are stored."""
        with self._engine.connect() as connection:
            return set(connection.scalars(select(EPISODE.c.id).where(EPISODE.c.run == run)))

    def episodes(self, **filters: Unpack[Filters]) -> Iterator[Episode]:
        """Yield the matching episodes, newest first, a few in memory at a time.

        No transaction is held between them, so a slow reader keeps no writer waiting; what begins
        after the first was read is not met.
        """
        for found in self._whole(filters):
            yield _read(found["id"], found["packed"])

    def begin_run(self, run: Run) -> None:
        with writing(self._engine).begin() as connection:
            connection.execute(RUN.insert(), [_columns(run)])

    def finish_run(self, id: str, at: datetime) -> None:
        """Note that a run needs no resuming; what is finished already stays as it is."""
        ended = update(RUN).where(RUN.c.finished.is_(None)).values(finished=at)
        with writing(self._engine).begin() as connection:
            connection.execute(ended.where(RUN.c.id == _find(connection, RUN, id)["id"]))

    def run(self, id: str) -> Run:
        """Return the run with this id, or the only one whose id begins so.

        Raises:
            UnknownIdError: there is none, or several.
        """
        with self._engine.connect() as connection:
            return Run(**_find(connection, RUN, id))

    def runs(self, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        return self._runs(_newest(RUN, limit))

    def latest_unfinished_run(self) -> Run | None:
        """Return the run that would be resumed, or None if all are finished."""
        unfinished = self._runs(_newest(RUN, 1).where(RUN.c.finished.is_(None)))
        return unfinished[0] if unfinished else None

    def integrity(self, *, newest: int | None = None) -> tuple[str, ...]:
        """Return all that is wrong with the database, one line each.

        Args:
            newest: how many whole episodes to read, newest first; None: all, some 0.3 ms each.
        """
        faults: list[str] = []
        try:
            with self._engine.connect() as connection:
                faults.extend(structural_faults(connection))
            faults.extend(self._damaged(newest))
        except StoreError as error:
            faults.append(str(error))
        return tuple(faults)

    def _insert(self, batch: list[Episode]) -> int:
        from memory.store.body import packing  # pydantic: 0.1 s, which a listing need not pay

        in_order = sorted(batch, key=attrgetter("id"))  # two writers that share some never deadlock
        rows, pack = [_columns(row_of(episode)) for episode in in_order], packing()
        bodies = [{"episode": episode.id, "packed": pack(episode)} for episode in in_order]
        with adding(self._engine).begin() as connection:
            unknown = _unknown(connection, batch)
            new = add_new(connection, EPISODE, rows)
            add_new(connection, BODY, bodies)
            fulltext.put_episodes(connection, unknown)
        return new

    def _whole(self, filters: Filters) -> Iterator[RowMapping]:
        """Yield rows with their bodies, newest first; a missing body is None."""
        query = _newest(EPISODE, BATCH, EPISODE, BODY.c.packed)
        query = query.outerjoin_from(EPISODE, BODY).where(*_matching(filters))
        page = self._all(query)
        while page:
            yield from page
            page = self._all(query.where(_older_than(page[-1])))

    def _damaged(self, newest: int | None) -> Iterator[str]:
        for found in islice(self._whole({}), newest):
            try:
                kept = _read(found["id"], found["packed"])
            except StoreError as error:
                yield str(error)
            else:
                if row_of(kept) != _row(found):
                    yield f"the row of episode {found['id']!r} differs from the episode itself"

    def _runs(self, query: Select[*tuple[Any, ...]]) -> list[Run]:
        return [Run(**found) for found in self._all(query)]

    def _all(self, query: Select[*tuple[Any, ...]]) -> Sequence[RowMapping]:
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().all()


_COLUMNS = [EPISODE.c[field.name] for field in fields(EpisodeRow)]


def _unknown(connection: Connection, batch: Sequence[Episode]) -> list[Episode]:
    """Return those that are not stored yet; of several with one id the first, as it is stored."""
    ids = {episode.id for episode in batch}
    known = set(connection.scalars(select(EPISODE.c.id).where(EPISODE.c.id.in_(ids))))
    first: dict[str, Episode] = {}
    for episode in batch:
        first.setdefault(episode.id, episode)
    return [episode for id, episode in first.items() if id not in known]


def _older_than(found: RowMapping) -> ColumnElement[bool]:
    """Compare by what listings are ordered by. The id makes it unique, so pages never overlap."""
    age = tuple_(literal(found["started"], Instant()), literal(found["id"]))
    return tuple_(EPISODE.c.started, EPISODE.c.id) < age


def _newest(
    table: Table, limit: int, *columns: ColumnElement[Any] | Table
) -> Select[*tuple[Any, ...]]:
    return (
        select(*(columns or (table,)))
        .order_by(table.c.started.desc(), table.c.id.desc())
        .limit(limit)
    )


def _matching(filters: Filters) -> list[ColumnElement[bool]]:
    return [EPISODE.c[name] == wanted for name, wanted in filters.items() if wanted is not None]


def _find(connection: Connection, table: Table, given: str) -> RowMapping:
    """Return the row with this id, or the only one whose id begins so, as git does."""
    query = select(table).where(table.c.id >= given).order_by(table.c.id).limit(SHOWN + 1)
    found = [
        row for row in connection.execute(query).mappings() if given and row["id"].startswith(given)
    ]
    if not found:
        raise UnknownIdError(f"no {table.name} has an id that begins with {given!r}; list them")
    if len(found) > 1 and found[0]["id"] != given:
        shown = ", ".join(row["id"] for row in found[:SHOWN])
        more = ", ..." if len(found) > SHOWN else ""
        raise UnknownIdError(
            f"several {table.name}s begin with {given!r}: {shown}{more}; give more of the id"
        )
    return found[0]


def _columns(record: Run | EpisodeRow) -> dict[str, Any]:
    """Return a record by column; `dataclasses.asdict` copies deeply, at a fifth of a write."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _row(found: RowMapping) -> EpisodeRow:
    return EpisodeRow(**{column.name: found[column.name] for column in _COLUMNS})


def _read(id: str, packed: bytes | None) -> Episode:
    from memory.store.body import unpack  # pydantic: 0.1 s, which a listing need not pay

    try:
        return unpack(packed or b"")
    except ValueError as error:
        raise StoreError(
            f"episode {id!r} is damaged in the store; restore a copy of the database"
        ) from error
