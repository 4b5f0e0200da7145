"""What is SQLite's own: where a transaction begins, what its errors mean, FTS5.

The same functions as in `memory.store.postgresql`; `memory.store.dialect` says what they promise.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Float,
    Insert,
    Table,
    TableClause,
    Text,
    create_engine,
    event,
    insert,
    literal_column,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from memory.store.errors import StoreError

NAME = "sqlite"

REMEDIES = {
    "SQLITE_FULL": "the disk is full; free some space and resume: what was stored before is kept",
    "SQLITE_IOERR_SHM": "no room or no right for its -shm file; free some space, then resume",
    "SQLITE_IOERR": "reading or writing the disk failed; check the disk and its free space",
    "SQLITE_BUSY": "another process kept it locked too long; end that process or try again later",
    "SQLITE_READONLY": "it is read-only; allow writing to the file and its directory",
    "SQLITE_CANTOPEN": "it cannot be opened or created; allow writing to its directory",
    "SQLITE_NOTADB": "it is not a SQLite database; name another file",
    "SQLITE_CORRUPT": "the file is damaged; restore a copy, or move it away and start a new one",
}
"""What to do, by the beginning of SQLite's name of the error; the first that fits is taken."""

SHARING = {
    "run": 100,
    "tally": 100,
    "kind": 20_000,
    "ending": 30_000,
    "policy": 100_000,
    "split": 300_000,
    "environment": 500_000,
}
"""How many of a million episodes share a value, roughly: the order is what matters. Untold, SQLite
takes any index that fits, and reads the whole household to list one run: 20 ms in place of 1 among
100,000 episodes."""


def connect(url: URL, busy_s: float) -> Engine:
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise StoreError(f"no directory {str(path.parent)!r} for the store; create it")
    if path.is_dir():
        raise StoreError(f"{str(path)!r} is a directory; name a file in it")
    engine = create_engine(url, connect_args={"timeout": busy_s})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", partial(_explain, str(path)))
    return engine


def writing(engine: Engine, *, alone: bool) -> Engine:  # noqa: ARG001 - SQLite knows no other way
    """Return the engine for transactions that take the write lock at their start.

    One that reads first and writes later cannot wait for another writer, and fails at once with
    "database is locked".
    """
    return engine.execution_options(writes=True)


def insert_new(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


def add_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    return connection.execute(insert_new(table), rows).rowcount


def settle(connection: Connection) -> None:
    """Tell the planner which index to prefer, as ANALYZE would if there were episodes already."""
    connection.execute(text("ANALYZE sqlite_schema"))  # makes the table of statistics
    connection.execute(text("DELETE FROM sqlite_stat1 WHERE tbl = 'episode'"))
    connection.execute(
        text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('episode', :idx, :stat)"),
        [
            {"idx": f"episode_by_{name}", "stat": f"1000000 {count} 1 1"}
            for name, count in SHARING.items()
        ],
    )
    connection.execute(text("ANALYZE sqlite_schema"))  # lets this connection see it


def faults(connection: Connection) -> Iterator[str]:
    for line in connection.execute(text("PRAGMA integrity_check")).scalars():
        if line != "ok":
            yield str(line)
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of {table} points to no {parent}"


def put_words(
    connection: Connection, table: TableClause, rows: Sequence[Mapping[str, Any]]
) -> None:
    connection.execute(insert(table), rows)


def asked(terms: Sequence[str], *, together: bool) -> str:
    return (" AND " if together else " OR ").join(f'"{term}"' for term in terms)


def answers(table: TableClause, asked: ColumnElement[str]) -> ColumnElement[bool]:
    whole = literal_column(table.name, Text)  # an index without detail takes no single column
    return whole.op("MATCH", is_comparison=True)(asked)


def fit(
    table: TableClause,
    counts: Mapping[str, int],  # noqa: ARG001 - FTS5 counts for itself
) -> ColumnElement[float]:
    """Return FTS5's BM25 of the terms that were matched, which it has negated."""
    return literal_column(f"-{table.name}.rank", Float)


def _prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # transactions begin where `_begin` says, not by guessing
    connection.execute("PRAGMA journal_mode = WAL")  # readers and one writer do not wait
    connection.execute("PRAGMA synchronous = NORMAL")  # in WAL: a crash corrupts nothing
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _explain(path: str, context: ExceptionContext) -> StoreError | None:
    """Return what is raised in place of an error of SQLite; None: the error itself."""
    name: str = getattr(context.original_exception, "sqlite_errorname", "")
    for beginning, remedy in REMEDIES.items():
        if name.startswith(beginning):
            return StoreError(f"cannot use the store {path!r}: {remedy}")
    return None
