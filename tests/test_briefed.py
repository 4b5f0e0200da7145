"""What is read before a demonstration changes nothing else of it, and is of other tasks only."""

from argparse import Namespace
from dataclasses import replace
from random import Random

import pytest

from agent.scripted import RandomPolicy
from bench.briefed import briefings, remembered
from bench.memory_household import lent
from bench.schooling import Course, Pupil, _carried_out, _guide
from environments.episode import Split
from environments.household.household import Household

WORLD = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6)
TASKS = WORLD.tasks(Split.TRAIN)[:12]


def readings(share):
    course = Course(demonstrations=len(TASKS), passes=1, briefed=share)
    recalled = {task.id: f"Example: {task.goal}" for task in TASKS}
    plans = {task: WORLD.gold(task) for task in TASKS}
    nobody = dict.fromkeys(("tokenizer", "student", "encoder"))
    pupil = Pupil(WORLD, **nobody, course=course, seed=3, plans=plans, recalled=recalled)
    return [each.reading for each in _carried_out(pupil, _guide(pupil), TASKS, Random(1))]


def test_the_same_demonstrations_are_briefed_in_part_or_all_or_not_at_all():
    bare, some, every = readings(0.0), readings(0.5), readings(1.0)
    assert [each.episode.briefing for each in bare] == [""] * len(TASKS)
    assert [each.episode.briefing for each in every] == [f"Example: {t.goal}" for t in TASKS]
    assert 0 < sum(bool(each.episode.briefing) for each in some) < len(TASKS)
    for one, other in zip(bare, every, strict=True):
        assert replace(other.episode, briefing="", started=one.episode.started) == one.episode
        assert other.imitated == one.imitated


@pytest.mark.slow
def test_what_is_read_before_a_task_is_how_others_were_done(tmp_path):
    known = Namespace(walkthroughs=8, budget=160, seed=0)
    config, memories = lent(
        "demonstrations", remembered(WORLD, known, tmp_path / "lived"), tmp_path / "lent"
    )
    assert memories == 8
    told = briefings(config, RandomPolicy(), TASKS[8:])
    assert set(told) == {task.id for task in TASKS[8:]}
    goals = {task.goal for task in TASKS[:8]}
    shown = [briefing for briefing in told.values() if briefing]  # to some of them nothing is like
    assert shown
    for briefing in shown:
        lines = briefing.splitlines()
        assert {each.removeprefix("Example: ") for each in lines if each[:1] == "E"} <= goals
        assert any(each.startswith("> take ") for each in lines)
