"""Opening a database, and saying in one line why it would not.

The one place that speaks SQLite; everything else is SQLAlchemy Core.
"""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from memory.errors import StoreError
from memory.schema import HEAD

BUSY_S = 30.0
"""How long to wait for another process's write, seconds: one takes milliseconds, so a longer wait
means that something hangs."""

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


class Opened:
    """A database that is open, for as long as someone needs it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, where: str | Path, *, busy_s: float = BUSY_S) -> Self:
        """Return the database at a path or SQLite URL, created or migrated if need be.

        Raises:
            StoreError: it cannot be read and written, or a newer version made it.
        """
        engine = connect(where, busy_s=busy_s)
        try:
            bring_up_to_date(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(where: str | Path, *, busy_s: float) -> Engine:
    """Return an engine for a file, or for a URL that names one.

    Every SQLite error which its owner can mend leaves it as a `StoreError`.
    """
    url = _url(where)
    engine = create_engine(url, connect_args={"timeout": busy_s})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", partial(_explain, url.database or ""))
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write.

    They take the write lock at their start: one that reads first and writes later cannot wait
    for another writer, and fails at once with "database is locked".
    """
    return engine.execution_options(writes=True)


def insert_new(table: Table) -> Insert:
    """Return an insert that leaves rows alone whose key is there already."""
    return insert(table).on_conflict_do_nothing()


def revision(connection: Connection) -> str | None:
    """Return the migration a database stands at; None: it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def bring_up_to_date(engine: Engine) -> None:
    """Create or migrate the tables, once, however many processes start together."""
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    from memory.migrations.upgrade import upgrade  # Alembic: 0.1 s, so only a stale store pays it

    with writing(engine).begin() as connection:
        found = revision(connection)
        if found is None and set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise StoreError(
                f"{engine.url.database} holds another program's tables; name another file"
            )
        upgrade(connection, found)
        _advise(connection)


def structural_faults(connection: Connection) -> Iterator[str]:
    """Yield what SQLite finds wrong with its own file."""
    for line in connection.execute(text("PRAGMA integrity_check")).scalars():
        if line != "ok":
            yield str(line)
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of {table} points to no {parent}"


def _advise(connection: Connection) -> None:
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


def _url(where: str | Path) -> URL:
    url = _parsed(where) if "://" in str(where) else URL.create("sqlite", database=str(where))
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise StoreError(f"no directory {str(path.parent)!r} for the store; create it")
    if path.is_dir():
        raise StoreError(f"{str(path)!r} is a directory; name a file in it")
    return url


def _parsed(where: str | Path) -> URL:
    scheme = str(where).partition("://")[0]  # all that is shown of it: the rest may hold a password
    try:
        url = make_url(str(where))
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() != "sqlite" or not url.database:
        raise StoreError(f"no store at this URL of {scheme!r}; give a path or sqlite:///PATH")
    return url


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
