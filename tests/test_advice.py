"""Advice is looked up in an index of its own, whatever else there is of its type of task."""

import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from bank_builders import a_demonstration, a_lesson, a_skill
from index_worker import a_bank
from memory.knowledge.items import Standing
from store_worker import MORNING


@pytest.fixture
def bank(tmp_path):
    with a_bank(tmp_path / "db") as bank:
        yield bank


def activate(bank, *items):
    added = bank.add_all(items)
    for item in added:
        bank.set_standing(item.id, Standing.ACTIVE, "proved", MORNING)
    return [item.id for item in added]


@contextmanager
def overheard():
    """Yield the statements that are executed meanwhile, with their values."""
    said = []

    def hear(*told):
        said.append(told[2:4])

    event.listen(Engine, "before_cursor_execute", hear)
    yield said
    event.remove(Engine, "before_cursor_execute", hear)


def test_it_is_the_newest_active_advice_of_exactly_this_type(bank):
    first, _, skill, last, *_ = activate(
        bank,
        a_lesson(),
        a_demonstration(),
        a_skill(kind="cool"),
        a_lesson(fault="the door is shut"),
        a_lesson(kind="heat"),
        a_lesson(environment="elsewhere"),
    )
    bank.add_all([a_lesson(fault="it is only a candidate")])
    assert bank.advice("household", "cool", 8) == [last, skill, first]
    assert bank.advice("household", "cool", 2) == [last, skill]
    bank.set_standing(last, Standing.RETIRED, "harmed", MORNING)
    assert bank.advice("household", "cool", 2) == [skill, first]


def test_no_demonstration_is_read_for_it(bank, tmp_path):
    activate(bank, *(a_demonstration(goal=f"cool mug {n}") for n in range(3)))
    with overheard() as said:
        assert bank.advice("household", "cool", 8) == []
    ((statement, values),) = [each for each in said if "FROM item" in each[0]]
    plan = sqlite3.connect(tmp_path / "db").execute(f"EXPLAIN QUERY PLAN {statement}", values)
    ((*_, how),) = plan.fetchall()
    assert "USING INDEX item_by_advice" in how
