import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from memory import migrations
from memory.database import connect, writing
from memory.errors import StoreError
from memory.migrations.upgrade import downgrade, upgrade
from memory.schema import EPISODE, HEAD, metadata
from memory.store import Store
from store_worker import an_episode

FULL_TEXT = ("item_words", "episode_words")
"""The tables that FTS5 keeps, and what the names of its own tables begin with."""


def shape(engine):
    """Return all that SQLite knows of the tables, in an order of its own for neither side."""
    found = inspect(engine)
    return {
        table: (
            [(str(c["type"]), c["name"], c["nullable"]) for c in found.get_columns(table)],
            found.get_pk_constraint(table)["constrained_columns"],
            sorted((i["name"] or "", i["column_names"]) for i in found.get_indexes(table)),
            [
                (f["constrained_columns"], f["referred_table"])
                for f in found.get_foreign_keys(table)
            ],
        )
        for table in found.get_table_names()
        if table != "alembic_version" and not table.startswith(FULL_TEXT)
    }


def test_migrating_an_empty_database_gives_the_tables_that_the_code_knows(tmp_path):
    Store.open(tmp_path / "migrated.db").close()
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(created)
    assert set(shape(created)) >= {"run", "episode", "episode_body"}
    assert shape(migrated) == shape(created)
    known = {"include_name": lambda name, *_: not (name or "").startswith(FULL_TEXT)}
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=known), metadata) == []
    migrated.dispose()
    created.dispose()


def test_the_head_that_the_code_names_is_the_newest_migration():
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads() == [HEAD]


def test_going_down_leaves_nothing_and_going_up_again_works(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.add(an_episode())
    engine = connect(path, busy_s=1)
    with writing(engine).begin() as connection:
        downgrade(connection, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
    with Store.open(path) as store:
        assert store.count() == 0
        assert store.add(an_episode()) == 1


def test_a_migration_that_does_not_end_leaves_nothing_behind(tmp_path):
    engine = connect(tmp_path / "store.db", busy_s=1)
    with writing(engine).connect() as connection:
        upgrade(connection, None)
        assert "episode" in inspect(connection).get_table_names()
        connection.rollback()
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_store_of_a_newer_version_is_refused_in_one_line_and_left_alone(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        store.add(an_episode())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="has schema '9999', which this version") as caught:
        Store.open(path)
    assert "\n" not in str(caught.value)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    assert connection.execute("SELECT count(*) FROM episode").fetchone() == (1,)
    connection.close()


def test_many_processes_may_create_the_same_store_at_once(tmp_path):
    opening = f"from memory.store import Store; Store.open({str(tmp_path / 'store.db')!r}).close()"
    together = [
        subprocess.Popen([sys.executable, "-c", opening], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(process.communicate()[1], process.returncode) for process in together] == [("", 0)] * 4


def test_ids_are_ordered_by_bytes_on_postgresql_too():
    ddl = str(CreateTable(EPISODE).compile(dialect=postgresql.dialect()))
    assert 'id VARCHAR COLLATE "C" NOT NULL' in ddl
    assert "started TIMESTAMP WITH TIME ZONE NOT NULL" in ddl
