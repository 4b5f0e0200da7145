"""What an attempt did do is a task that it solved, by the world's own rules."""

import pytest

from environments.episode import Ending, Split
from environments.household.household import Household
from memory.making.hindsight import retold
from memory.making.prune import prune
from wandering import recorded
from worlds import Workshop

WORLD = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=6)


@pytest.fixture(scope="module")
def misplaced():
    """Return an attempt that takes something, and puts it where nobody asked for it."""
    task = WORLD.tasks(Split.TRAIN)[0]
    actions = (
        "go to countertop 1",
        "take egg 1 from countertop 1",
        "go to garbagecan 1",
        "move egg 1 to garbagecan 1",
    )
    return recorded(WORLD, task, actions)


def test_who_put_the_wrong_thing_somewhere_solved_the_task_of_putting_it_there(misplaced):
    assert misplaced.ending is not Ending.SOLVED
    told = next(retold(misplaced, WORLD))
    _, thing, _, _, place, _ = misplaced.actions[-1].split()
    assert told.solved
    assert told.task.goal in (f"put a {thing} in {place}.", f"put some {thing} on {place}.")
    assert told.steps[0].observation.endswith(f"Your task is to: {told.task.goal}")
    assert (told.task.split, told.task.kind) == (Split.TRAIN, "pick_and_place_simple")
    assert told.actions == misplaced.actions
    assert prune(told, WORLD).replayed


def test_a_task_told_in_hindsight_is_found_by_its_name_and_has_no_walkthrough(misplaced):
    told = next(retold(misplaced, WORLD))
    assert WORLD.task(told.task.id) == told.task
    assert WORLD.gold(told.task) is None


def test_what_was_put_back_where_it_lay_solved_nothing(misplaced):
    way, take, *_ = misplaced.actions
    thing, place = take.removeprefix("take ").split(" from ")
    back = recorded(WORLD, misplaced.task, (way, take, f"move {thing} to {place}"))
    assert not list(retold(back, WORLD))


def test_a_world_without_hindsight_tells_nothing():
    world = Workshop()
    task = world.tasks(Split.TRAIN)[0]
    assert not list(retold(recorded(world, task, world.gold(task)), world))
