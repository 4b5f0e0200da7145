"""What each database does in a way of its own: one function for each difference, for both of them.

Everything else is SQLAlchemy Core, the same on SQLite and on PostgreSQL.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Dialect, Engine, Insert, Table, TableClause
from sqlalchemy.engine import URL

from memory.store import postgresql, sqlite


class Speech(Protocol):
    """How to speak to a database of one kind: see `memory.store.sqlite` and `.postgresql`."""

    def connect(self, url: URL, busy_s: float) -> Engine:
        """Return an engine whose errors are `StoreError`s, where their owner can mend them."""
        ...

    def writing(self, engine: Engine, *, alone: bool) -> Engine:
        """Return the engine for transactions that write: one at a time, or beside others."""
        ...

    def insert_new(self, table: Table) -> Insert:
        """Return an insert that leaves rows alone whose key is there already."""
        ...

    def add_new(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Add many rows whose keys are not there yet; return how many that were."""
        ...

    def settle(self, connection: Connection) -> None:
        """Do what is left to do once the tables are there."""
        ...

    def faults(self, connection: Connection) -> Iterator[str]:
        """Yield what the database itself finds wrong with it."""
        ...

    def put_words(
        self, connection: Connection, table: TableClause, rows: Sequence[dict[str, Any]]
    ) -> None:
        """Index texts, the column `words` of each row."""
        ...

    def asked(self, terms: Sequence[str], *, together: bool) -> str:
        """Return the question for texts that hold all of the terms, or any; see `answers`."""
        ...

    def answers(self, table: TableClause, asked: ColumnElement[str]) -> ColumnElement[bool]:
        """Return whether an indexed text answers a question."""
        ...

    def fit(self, table: TableClause, counts: Mapping[str, int]) -> ColumnElement[float]:
        """Return how well a text fits the terms, above 0; of each, how many texts hold it."""
        ...


def speech(dialect: Dialect) -> Speech:
    return SPOKEN[dialect.name]


SPOKEN: dict[str, Speech] = {sqlite.NAME: sqlite, postgresql.NAME: postgresql}
"""How to speak to a database, by SQLAlchemy's name of its kind."""
