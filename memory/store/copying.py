"""A whole store into another database: to PostgreSQL when one file is too small, and back.

What is there already is passed over, so a copy that was cut off goes on when it is called again.
The bank is played again from its journal, as `projection` makes it from what was done to it.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
    update,
)

from environments.errors import UserError
from memory.knowledge.journal import Deed
from memory.store import fulltext, projection
from memory.store.database import BUSY_S, adding, bring_up_to_date, connect, insert_new, writing
from memory.store.schema import (
    BODY,
    CRITIQUE,
    EPISODE,
    ITEM,
    JOURNAL,
    RECALL,
    ROUND,
    RUN,
    SOURCE,
    STAGE,
    TRIAL,
    TRIAL_PAIR,
    VECTOR,
    VERDICT,
)

PAGE = 256
"""Rows in memory and in one transaction: a megabyte of episodes."""

REVISED = (RUN, TRIAL, ROUND, VERDICT)
"""Tables whose rows change until something has ended: run, trial, round or judgment."""

KEPT = (TRIAL_PAIR, STAGE, VECTOR)
"""Tables whose rows are never changed."""

COMPARED = (
    *(EPISODE, BODY, JOURNAL, ITEM, CRITIQUE, SOURCE, RECALL),
    *(*REVISED, *KEPT),
)

Told: TypeAlias = Callable[[str, int, int], None]
"""Told the name of a table, how many of its rows are done, and how many there are."""


class CopyError(UserError, RuntimeError):
    """Two stores do not go together."""


def copy(source: str | Path, target: str | Path, told: Told) -> dict[str, int]:
    """Copy all that a store holds into another, and return the rows of each table there.

    Args:
        source: a path or URL; what others store in it meanwhile may need another copy.
        target: a path or URL, made where it is missing; it holds nothing, or an earlier copy.
        told: of what was done, after every page.

    Raises:
        CopyError: the target holds something else, or the source has grown meanwhile.
        StoreError: one of the two cannot be used.
    """
    with _opened(source) as origin, _opened(target) as copied:
        last = _beginning(origin, copied)
        _copy_episodes(origin, copied, told)
        _copy_journal(origin, copied, last, told)
        for table in (*REVISED, *KEPT):
            _copy_rows(origin, copied, table, told)
        return _compared(origin, copied)


@contextmanager
def _opened(where: str | Path) -> Generator[Engine]:
    engine = connect(where, busy_s=BUSY_S)
    try:
        bring_up_to_date(engine)
        yield engine
    finally:
        engine.dispose()


def _beginning(origin: Engine, copied: Engine) -> int:
    """Return the last entry of the journal to copy, if what was copied is its beginning.

    It is asked for first, for an entry may be of an episode that is stored only now.
    """
    with origin.connect() as read, copied.connect() as there:
        known = _last(there)
        same = select(JOURNAL.c.at, JOURNAL.c.deed, JOURNAL.c.subject).where(JOURNAL.c.seq == known)
        if known and read.execute(same).one_or_none() != there.execute(same).one():
            raise CopyError(
                "the target holds memories of its own, which no copy may mix with others; "
                "name an empty database"
            )
        return _last(read)


def _copy_episodes(origin: Engine, copied: Engine, told: Told) -> None:
    done, many = 0, _count(origin, EPISODE)
    for page in _pages(origin, select(EPISODE), (EPISODE.c.started, EPISODE.c.id)):
        with adding(copied).begin() as there:
            _add_episodes(origin, there, page)
        done += len(page)
        told(EPISODE.name, done, many)


def _add_episodes(origin: Engine, there: Connection, page: Sequence[RowMapping]) -> None:
    ids = [row["id"] for row in page]
    known = set(there.scalars(select(EPISODE.c.id).where(EPISODE.c.id.in_(ids))))
    new = sorted((row for row in page if row["id"] not in known), key=lambda row: row["id"])
    if not new:
        return
    wanted = select(BODY).where(BODY.c.episode.in_([row["id"] for row in new]))
    with origin.connect() as read:
        bodies = read.execute(wanted.order_by(BODY.c.episode)).mappings().all()
    there.execute(insert_new(there, EPISODE), [dict(row) for row in new])
    if bodies:
        there.execute(insert_new(there, BODY), [dict(row) for row in bodies])
    packed = {row["episode"]: row["packed"] for row in bodies}
    fulltext.put_packed(there, (packed[id] for id in ids if id in packed))


def _copy_journal(origin: Engine, copied: Engine, last: int, told: Told) -> None:
    with copied.connect() as there:
        done = _last(there)
    while done < last:
        with origin.connect() as read:
            entries = [each for each in projection.read(read, done) if each.seq <= last]
        with writing(copied).begin() as there:
            projection.record(there, entries)
        done = entries[-1].seq
        told(JOURNAL.name, done, last)
    with origin.connect() as read, writing(copied).begin() as there:
        _forget(read, there)


def _forget(read: Connection, there: Connection) -> None:
    """Forget what was forgotten in the source since it was copied."""
    held = select(JOURNAL.c.seq).where(JOURNAL.c.content.is_not(None))
    gone = set(there.scalars(held)).difference(read.scalars(held))
    if gone:
        emptied = update(JOURNAL).where(JOURNAL.c.seq == bindparam("of")).values(content=None)
        there.execute(emptied, [{"of": seq} for seq in gone])
    forgotten = select(JOURNAL.c.subject).where(JOURNAL.c.deed == Deed.FORGOTTEN)
    for id in there.scalars(forgotten.where(JOURNAL.c.subject.in_(select(EPISODE.c.id)))).all():
        fulltext.remove_episode(there, id)
        there.execute(delete(BODY).where(BODY.c.episode == id))
        there.execute(delete(EPISODE).where(EPISODE.c.id == id))


def _copy_rows(origin: Engine, copied: Engine, table: Table, told: Told) -> None:
    done, many = 0, _count(origin, table)
    keys = tuple(table.primary_key)
    for page in _pages(origin, select(table), keys):
        rows = [dict(row) for row in page]
        with writing(copied).begin() as there:
            if table in REVISED:
                there.execute(*_revision(table, rows))
            there.execute(insert_new(there, table), rows)
        done += len(page)
        told(table.name, done, many)


def _revision(table: Table, rows: Sequence[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """Return the update of rows that are there, and its values."""
    keys = [column.name for column in table.primary_key]
    same = [table.c[name] == bindparam(f"its_{name}") for name in keys]
    return update(table).where(*same), [
        {(f"its_{name}" if name in keys else name): value for name, value in row.items()}
        for row in rows
    ]


def _compared(origin: Engine, copied: Engine) -> dict[str, int]:
    """Return the rows of each table, the same in both.

    Raises:
        CopyError: they differ.
    """
    found = {table.name: (_count(origin, table), _count(copied, table)) for table in COMPARED}
    for name, (here, there) in found.items():
        if here != there:
            raise CopyError(
                f"the copy has {there} rows of {name!r} and the source {here}: one of the two was "
                "written to; copy again while nobody uses them, or name an empty database"
            )
    return {name: there for name, (_, there) in found.items()}


def _pages(
    origin: Engine, query: Select[*tuple[Any, ...]], keys: Sequence[Column[Any]]
) -> Iterator[Sequence[RowMapping]]:
    """Yield the rows by these keys; no transaction is held between two pages."""
    query = query.order_by(*keys).limit(PAGE)
    page: Sequence[RowMapping] = ()
    while True:
        beyond = [_beyond(keys, page[-1])] if page else []
        with origin.connect() as read:
            page = read.execute(query.where(*beyond)).mappings().all()
        if not page:
            return
        yield page


def _beyond(keys: Sequence[Column[Any]], row: RowMapping) -> ColumnElement[bool]:
    return tuple_(*keys) > tuple_(*(bindparam(None, row[key.name], key.type) for key in keys))


def _last(connection: Connection) -> int:
    return connection.scalar(select(func.max(JOURNAL.c.seq))) or 0


def _count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0
