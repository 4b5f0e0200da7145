import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bank_builders import a_lesson
from memory.bank.bank import Bank
from memory.bank.pages import Pages
from memory.store import migrations
from memory.store.database import connect, revision, writing
from memory.store.errors import StoreError
from memory.store.migrations.upgrade import downgrade, upgrade
from memory.store.schema import EPISODE, HEAD, metadata
from memory.store.store import Store
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


@pytest.mark.postgresql(slow=True)
def test_migrating_an_empty_database_gives_the_tables_that_the_code_knows(fresh, tmp_path):
    Store.open(fresh).close()
    migrated = connect(fresh, busy_s=1)
    known = {"include_name": lambda name, *_: not (name or "").startswith(FULL_TEXT)}
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=known), metadata) == []
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(created)
    if migrated.dialect.name == "sqlite":
        assert shape(migrated) == shape(created)
    assert set(shape(migrated)) == set(shape(created)) >= {"run", "episode", "episode_body"}
    migrated.dispose()
    created.dispose()


def test_the_head_that_the_code_names_is_the_newest_migration():
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads() == [HEAD]


def test_going_down_leaves_nothing_and_going_up_again_works(fresh):
    with Store.open(fresh) as store:
        store.add(an_episode())
    engine = connect(fresh, busy_s=1)
    with writing(engine).begin() as connection:
        downgrade(connection, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
    with Store.open(fresh) as store:
        assert store.count() == 0
        assert store.add(an_episode()) == 1


@pytest.mark.postgresql(slow=True)
@pytest.mark.parametrize("step", ["0001", "0002", "0003", "0004", "0005"])
def test_going_down_a_few_steps_and_up_again_keeps_what_older_versions_knew(fresh, step):
    with Store.open(fresh) as store, Bank.open(fresh) as bank:
        store.add_all(an_episode(f"e{number}", minute=number) for number in range(1, 30))
        lesson = bank.add(a_lesson("e1"))
    engine = connect(fresh, busy_s=1)
    with writing(engine).begin() as connection:
        downgrade(connection, step)
        assert revision(connection) == step
    engine.dispose()
    with Store.open(fresh) as store, Bank.open(fresh) as bank, Pages.open(fresh) as pages:
        assert store.count() == 29
        assert store.integrity() == bank.integrity() == ()
        assert bank.items() == ([] if step == "0001" else [lesson])
        assert bank.search_text("fridge", 5)[:1] == bank.search_text("fridge", 1)
        assert len(pages.episodes(words="arrive fridge", limit=99).rows) == 29


@pytest.mark.postgresql(slow=True)
def test_a_migration_that_does_not_end_leaves_nothing_behind(fresh):
    engine = connect(fresh, busy_s=1)
    with writing(engine).connect() as connection:
        upgrade(connection, None)
        assert "episode" in inspect(connection).get_table_names()
        connection.rollback()
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.postgresql(slow=True)
def test_a_store_of_a_newer_version_is_refused_in_one_line_and_left_alone(fresh):
    with Store.open(fresh) as store:
        store.add(an_episode())
    engine = connect(fresh, busy_s=1)
    with writing(engine).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="has schema '9999', which this version") as caught:
        Store.open(fresh)
    assert "\n" not in str(caught.value)
    with engine.connect() as connection:
        assert revision(connection) == "9999"
        assert connection.scalar(text("SELECT count(*) FROM episode")) == 1
    engine.dispose()


@pytest.mark.postgresql(slow=True)
def test_many_processes_may_create_the_same_store_at_once(fresh):
    opening = f"from memory.store.store import Store; Store.open({str(fresh)!r}).close()"
    together = [
        subprocess.Popen([sys.executable, "-c", opening], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(process.communicate()[1], process.returncode) for process in together] == [("", 0)] * 4


def test_ids_are_ordered_by_bytes_on_postgresql_too():
    ddl = str(CreateTable(EPISODE).compile(dialect=postgresql.dialect()))
    assert 'id VARCHAR COLLATE "C" NOT NULL' in ddl
    assert "started TIMESTAMP WITH TIME ZONE NOT NULL" in ddl
