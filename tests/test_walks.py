"""Random walks solve something nobody asked for, which a cold start can show."""

from dataclasses import replace
from random import Random

import pytest

from apprentice.distilling.choosing import walked
from apprentice.distilling.lessons import lessons
from apprentice.gate.proving import to_practise
from apprentice.settings.config import Distill, Memory
from apprentice.settings.orders import Order
from distill.teaching.walks import STEPS, found_walking
from distilling import library_of, settings_of
from environments.episode import Ending, Split
from environments.household.household import Household
from practicing import NOON
from worlds import Workshop

WORLD = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=60)
TRAIN = WORLD.tasks(Split.TRAIN)


def plans(world, tasks, seed=0):
    rng = Random(seed)
    return [plan for task in tasks for plan in found_walking(world, task, rng=rng, now=NOON)]


@pytest.fixture(scope="module")
def found():
    return plans(WORLD, TRAIN[:40])


def test_what_a_walk_solved_is_solved_again_by_its_plan_and_by_less_of_it_not(found):
    assert len(found) >= 5
    for task, actions in found:
        play = WORLD.start(task)
        endings = [play.step(action).ending for action in actions]
        assert endings[-1] is Ending.SOLVED
        assert set(endings[:-1]) <= {None}
        assert 0 < len(actions) <= STEPS


def test_what_a_walk_solved_is_a_train_task_that_the_world_knows_by_its_name(found):
    assert all(task.split is Split.TRAIN and WORLD.task(task.id) == task for task, _ in found)


def test_the_same_seed_walks_the_same_way_and_another_does_not(found):
    assert plans(WORLD, TRAIN[:40]) == found
    assert plans(WORLD, TRAIN[:40], seed=1) != found


def test_without_hindsight_a_walk_finds_only_what_it_was_asked_for():
    world = Workshop()
    tasks = world.tasks(Split.TRAIN)
    assert {task.id for task, _ in plans(world, tasks * 4)} <= {task.id for task in tasks}


@pytest.fixture
def library(tmp_path):
    with library_of(settings_of(tmp_path, tmp_path)) as library:
        yield replace(library, environment=WORLD)


def test_a_cold_start_shows_what_walks_found_once_beside_what_it_was_shown_in_every_pass(library):
    limits = Distill(preset="cold-start", walks=30, passes=3, per_step=1, detour_chance=0.0)
    shown = tuple(task.id for task in TRAIN[:2])
    order = Order(
        name="cold", base="", parent=None, environment=WORLD.name, preset="cold-start",
        settings="", seed=4, made=NOON, walkthroughs=shown,
        walks=walked(library, limits.walks, TRAIN, 4),
    )  # fmt: skip
    assert len(set(order.walks)) == 30
    assert Order.from_json(order.to_json()) == order
    told = lessons(limits, order, library)
    tasks = [step[0].reading.episode.task.id for step in told.steps]
    once = set(tasks) - set(shown)
    assert len(once) >= 3
    assert all(tasks.count(task) == 3 for task in shown)
    assert all(tasks.count(task) == 1 for task in once)
    assert {each.task.id for each in told.shown.values()} == {*shown, *once}


def test_nobody_walks_where_memories_are_proved_nor_in_a_world_without_hindsight(library):
    left = to_practise(TRAIN, Memory(admission="proof", set_aside=0.5))
    assert set(walked(library, 60, left, 0)) == {task.id for task in left}
    world = Workshop()
    without = replace(library, environment=world)
    assert walked(without, 9, world.tasks(Split.TRAIN), 0) == ()
