"""What only MiniGrid has; what it shares with all worlds is tested in test_worlds.py."""

import pytest

from environments.environment import Observation
from environments.episode import Ending, Split
from environments.errors import UnknownNameError
from environments.registry import open_environment
from environments.worlds.minigrid import COLORS, OBJECTS, STATES, view
from installed import needs

FLOOR, WALL, OPEN, LOCKED = (1, 0, 0), (2, 5, 0), (4, 1, 0), (4, 4, 2)


def one(kind, **settings):
    """Return a world of one level, and its first task."""
    world = open_environment("minigrid", kinds=[kind], counts=(1, 0, 0), **settings)
    return world, world.tasks(Split.TRAIN)[0]


@needs("minigrid")
def test_the_numbers_in_a_picture_mean_what_the_package_says():
    from minigrid.core import constants

    assert {name: number for number, name in enumerate(OBJECTS)} == constants.OBJECT_TO_IDX
    assert {name: number for number, name in enumerate(COLORS)} == constants.COLOR_TO_IDX
    assert {name: number for number, name in enumerate(STATES)} == constants.STATE_TO_IDX


def test_a_door_is_told_with_its_state_and_hides_the_wall_behind_it():
    seen = view([[WALL, OPEN, FLOOR], [WALL, LOCKED, FLOOR], [FLOOR, FLOOR, WALL]])
    assert seen == (
        "You see a locked yellow door 1 step forward, an open green door 1 step forward and 1 step "
        "left, a wall 1 step right. You carry nothing."
    )


@needs("minigrid")
def test_what_one_picks_up_is_carried_and_told():
    world, task = one("PickupDist")
    play = world.start(task)
    *way, last = world.gold(task)
    for action in way:
        assert "You carry nothing." in play.step(action).text
    assert last == "pick up"
    assert not play.step(last).text.endswith("You carry nothing.")
    assert play.observation.ending is Ending.SOLVED


@needs("minigrid")
def test_a_solved_level_is_worth_one_point_however_long_it_took():
    world, task = one("GoToRedBall")
    play = world.start(task)
    for action in ("drop", "drop", *world.gold(task)):
        play.step(action)
    assert isinstance(play.observation, Observation)
    assert play.observation.reward == 1.0


@needs("minigrid")
def test_a_level_of_minigrid_is_told_too_and_has_no_gold():
    world, task = one("MiniGrid-Empty-5x5")
    assert world.gold(task) is None
    assert "a green goal 2 steps forward and 2 steps right" in world.start(task).observation.text


@needs("minigrid")
def test_walking_too_long_fails():
    world, task = one("GoToObjS4")
    play = world.start(task)
    while play.observation.ending is None:
        play.step("drop")
    assert play.observation.ending is Ending.FAILED


@needs("minigrid")
def test_nothing_is_written_to_standard_output(capfd):
    open_environment("minigrid", kinds=["PickupLoc", "GoToLocal"], counts=(40, 5, 5))
    assert capfd.readouterr() == ("", "")


@needs("minigrid")
def test_an_unknown_level_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="no level of minigrid 'Chess'; known: ActionObj"):
        open_environment("minigrid", kinds=["Chess"])
