import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

import bank_builders
from bank_builders import a_critique, a_demonstration, a_lesson, a_recall, a_skill, a_source
from memory.bank.bank import Bank
from memory.bank.changes import IllegalMoveError
from memory.knowledge.admission import Decision, Outcome, RefusedError
from memory.knowledge.items import Demonstration, Lesson, Skill, Standing
from memory.proof.credit import Tag
from memory.store.errors import UnknownIdError
from memory.store.schema import CRITIQUE, ITEM, JOURNAL, RECALL, SOURCE, VECTOR
from memory.store.store import Store
from store_worker import MORNING, an_episode

IMPORTS = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
"""Lets a process of its own import what this one can."""

EPISODES = [f"e{number}" for number in range(1, 7)]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make one database with episodes; migrating anew for each test takes far longer."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    with Store.open(path) as store:
        store.add_all(an_episode(id) for id in EPISODES)
    return path


@pytest.fixture
def path(template, tmp_path):
    return Path(shutil.copy(template, tmp_path))


@pytest.fixture
def bank(path):
    with Bank.open(path) as opened:
        yield opened


def tables(path):
    """Return every row of every table of the bank."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = {
            table.name: sorted(connection.execute(select(table)).all(), key=repr)
            for table in (JOURNAL, ITEM, CRITIQUE, SOURCE, RECALL, VECTOR)
        }
        words = connection.exec_driver_sql("SELECT rowid, words FROM item_words ORDER BY 1").all()
    engine.dispose()
    return rows | {"words": words}


def some(rng):
    return a_source(*rng.sample(EPISODES, rng.randint(1, 3)))


def add_two(bank, rng):
    source = some(rng)
    bank.add_all([a_lesson(source=source), a_demonstration(source=source)])


def add_criticized(bank, rng):
    source = some(rng)
    critique = bank.criticize(a_critique(source.episodes[0], source=source))
    bank.add(a_lesson(source=source, critique=critique.id))


def add_induced(bank, rng):
    chosen = rng.choice(bank.items(type=Demonstration))
    bank.add(a_skill(source=chosen.source, demonstrations=(chosen.id,)))


def reword(bank, rng):
    item = rng.choice(bank.items())
    words = {Lesson: "instead", Demonstration: "goal", Skill: "purpose"}[type(item)]
    bank.revise(replace(item, **{words: f"otherwise {rng.random()}"}))


def merge(bank, rng):
    item = rng.choice(bank.items())
    alike = Decision(Outcome.MERGE, item.id, "alike")
    bank.settle(replace(item, id="", source=some(rng)), alike)


def move(bank, rng):
    standing = rng.choice(list(Standing))
    bank.set_standing(rng.choice(bank.items()).id, standing, "for a reason", MORNING)


def use(bank, rng):
    item, episode = rng.choice(bank.items()), rng.choice(EPISODES)
    bank.log_uses([a_recall(item, episode)])
    bank.learn(a_critique(episode, source=a_source(episode)), tags={item.id: Tag.HARMFUL})
    bank.put_vectors("mini", {(item.id, item.version): np.ones(2, np.float32)})


def forget(bank, rng):
    bank.forget(rng.choice(EPISODES), "asked to", MORNING)


DEEDS = [add_two, add_criticized, add_induced, reword, merge, move, use, forget]
IMPOSSIBLE = (IllegalMoveError, UnknownIdError, RefusedError, IndexError)
"""What a deed raises that cannot happen to this bank now: it is tried, and changes nothing."""


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(deeds=st.lists(st.sampled_from(DEEDS), max_size=25), seed=st.integers(0, 10**6))
def test_whatever_happened_the_bank_is_what_its_journal_says(template, tmp_path, deeds, seed):
    path = Path(shutil.copy(template, tmp_path))
    for leftover in tmp_path.glob("store.db-*"):
        leftover.unlink()
    with Store.open(path) as store, Bank.open(path) as bank:
        rng = Random(seed)
        for deed in deeds:
            with suppress(*IMPOSSIBLE):
                deed(bank, rng)
        assert bank.integrity() == ()
        assert store.integrity() == ()
        before = tables(path)
        bank.rebuild()
        assert tables(path) == before


def test_a_table_that_was_tampered_with_is_named_and_made_again(path, bank):
    bank.add_all([a_lesson(), a_skill()])
    before = tables(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE item SET standing = 'active'")
        connection.execute("DELETE FROM item_words")
    connection.close()
    assert [line.split("'")[1] for line in bank.integrity()] == ["item", "item_words"]
    bank.rebuild()
    assert bank.integrity() == ()
    assert tables(path) == before


def test_a_killed_process_leaves_nothing_half_written(path, bank):
    rng = Random(7)
    said = set()
    worker = [sys.executable, bank_builders.__file__, str(path), "100000"]
    for _ in range(6):
        process = subprocess.Popen(worker, stdout=subprocess.PIPE, text=True, env=IMPORTS)
        assert process.stdout is not None
        said.add(process.stdout.readline().strip())
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        said |= {line.strip() for line in process.stdout if line.endswith("\n")}
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
    items = {item.id: item for item in bank.items()}
    assert said <= set(items), "what was said to be stored is there"
    assert len(items) - len(said) <= 6, "at most one a kill was stored and not said"
    assert all(items[id].version == 2 for id in said)
    assert bank.integrity() == ()
    with Store.open(path) as store:
        assert store.integrity() == ()
