"""Opening a database: a file of SQLite, or a PostgreSQL server.

What the two do in ways of their own is behind `memory.store.dialect`; nobody else asks which one it
is.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, Insert, Table, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from memory.store import sqlite
from memory.store.dialect import SPOKEN, Speech, speech
from memory.store.errors import StoreError
from memory.store.schema import HEAD

BUSY_S = 30.0
"""How long to wait for another process's write, seconds: one takes milliseconds, so a longer wait
means that something hangs."""


class Opened:
    """A database that is open, for as long as someone needs it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, where: str | Path, *, busy_s: float = BUSY_S) -> Self:
        """Return the database at a path or URL, its tables created or migrated if need be.

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
    """Return an engine for a file, or for the URL of a database.

    Every error which its owner can mend leaves it as a `StoreError`.
    """
    spoken, url = _parsed(where)
    return spoken.connect(url, busy_s)


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write, one after the other.

    What one of them reads, nobody else changes until it has written.
    """
    return speech(engine.dialect).writing(engine, alone=True)


def adding(engine: Engine) -> Engine:
    """Return the engine for transactions that only add rows, under keys that nobody else gives.

    They go on side by side, where the database can.
    """
    return speech(engine.dialect).writing(engine, alone=False)


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an insert that leaves rows alone whose key is there already."""
    return speech(connection.dialect).insert_new(table)


def add_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add many rows whose keys are not there yet; return how many that were."""
    return speech(connection.dialect).add_new(connection, table, rows)


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
    from memory.store.migrations.upgrade import (
        upgrade,  # Alembic: 0.1 s, so only a stale store pays it
    )

    with writing(engine).begin() as connection:
        found = revision(connection)
        if found is None and set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise StoreError(
                f"{engine.url.database} holds another program's tables; name another database"
            )
        upgrade(connection, found)
        speech(connection.dialect).settle(connection)


def structural_faults(connection: Connection) -> Iterator[str]:
    """Yield what the database finds wrong with itself."""
    return speech(connection.dialect).faults(connection)


def _parsed(where: str | Path) -> tuple[Speech, URL]:
    if "://" not in str(where):
        return sqlite, URL.create(sqlite.NAME, database=str(where))
    scheme = str(where).partition("://")[0]  # all that is shown of it: the rest may hold a password
    try:
        url = make_url(str(where))
    except (ArgumentError, ValueError):
        url = None
    spoken = SPOKEN.get(url.get_backend_name()) if url else None
    if url is None or spoken is None or not url.database:
        raise StoreError(
            f"no store at this URL of {scheme!r}; give a path, sqlite:///PATH "
            "or postgresql://USER@HOST/DATABASE"
        )
    return spoken, url
