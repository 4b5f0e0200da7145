from dataclasses import replace
from pathlib import Path

import pytest

from environments import check
from environments.check import check_environment
from environments.environment import ongoing
from environments.episode import Split
from environments.errors import UserError
from environments.household.household import Household
from environments.registry import open_environment
from real_games import needs_real_games, real_games

EASY = {"train": 12, "dev": 6, "test": 6, "max_receptacles": 6, "max_objects": 8}

WORLDS = {
    "default": Household.generated,
    "easy": lambda: Household.generated(**EASY),
    "one kind": lambda: Household.generated(
        kinds=("look_at_obj_in_light",), train=6, dev=3, test=3
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_every_generated_household_keeps_the_contract(name):
    assert check_environment(WORLDS[name]()) == ()


@needs_real_games
def test_the_real_household_keeps_the_contract():
    assert check_environment(real_games(), per_split=12) == ()


class Spoiled(Household):
    """A household with one fault."""

    fault = ""

    def tasks(self, split):
        tasks = super().tasks(split)
        match self.fault:
            case check.ORDER_STABLE:
                self.asked = getattr(self, "asked", 0) + 1
                return tasks if self.asked % 2 else tasks[::-1]
            case check.SPLIT_TRUE:
                return tuple(replace(task, split=Split.TRAIN) for task in tasks)
            case check.NAME_TRUE:
                return tuple(replace(task, environment="castle") for task in tasks)
            case check.IDS_UNIQUE:
                return tasks[:1] * 2
            case check.SPLITS_DISJOINT:
                return super().tasks(Split.TRAIN)
        return tasks

    def task(self, id):
        if self.fault == check.NO_CRASH and id != "no such task":
            raise KeyError(id)
        if self.fault == check.ID_UNKNOWN and id == "no such task":
            return self.tasks(Split.TRAIN)[0]
        task = super().task(id)
        return replace(task, goal="rest") if self.fault == check.IDS_FOUND else task

    def start(self, task):
        return SpoiledPlay(super().start(task), self.fault, task.goal)

    def gold(self, task):
        gold = super().gold(task)
        return gold[:-1] if self.fault == check.GOLD_SOLVES else gold


class SpoiledPlay:
    turns = 0  # shared, so that a twin sees something else

    def __init__(self, play, fault, goal):
        self.play, self.fault, self.goal = play, fault, goal
        self.closed = False

    @property
    def observation(self):
        seen = self.play.observation
        match self.fault:
            case check.GOAL_STATED:
                return replace(seen, text=seen.text.replace(self.goal, ""))
            case check.SAME_AGAIN:
                SpoiledPlay.turns += 1
                return replace(seen, text=f"{seen.text} {SpoiledPlay.turns}")
            case check.SORTED:
                return replace(seen, admissible=seen.admissible[::-1])
        return seen

    def step(self, action):
        if self.play.observation.ending is not None and self.fault == check.ENDED_REFUSES:
            return self.play.observation
        if action == check.NONSENSE and self.fault == check.NONSENSE_HARMLESS:
            return ongoing("You sing.", ("bow",))
        return self.play.step(action)

    def close(self):
        if self.closed and self.fault == check.CLOSE_TWICE:
            raise RuntimeError("closed")
        self.closed = True


FAULTS = (
    check.ORDER_STABLE,
    check.SPLIT_TRUE,
    check.NAME_TRUE,
    check.IDS_UNIQUE,
    check.SPLITS_DISJOINT,
    check.ID_UNKNOWN,
    check.IDS_FOUND,
    check.GOAL_STATED,
    check.SAME_AGAIN,
    check.SORTED,
    check.NONSENSE_HARMLESS,
    check.GOLD_SOLVES,
    check.ENDED_REFUSES,
    check.CLOSE_TWICE,
    check.NO_CRASH,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_names_the_rule_that_is_broken(fault):
    world = Spoiled.generated(**EASY)
    world.fault = fault
    found = check_environment(world, per_split=1)
    assert any(rule.endswith(fault) for rule in found), found


class Half(Household):
    """A household whose plays lack a part, or whose catalogue does."""

    def start(self, task):
        return type("Play", (), {"observation": super().start(task).observation})()


def test_the_check_names_the_parts_that_are_missing():
    found = check_environment(Half.generated(**EASY), per_split=1)
    assert [rule.partition(": ")[2] for rule in found] == [f"no step, no close: {check.WHOLE}"] * 3
    assert check_environment(object()) == (
        "no name, no instructions, no tasks, no task, no start, no gold: " + check.WHOLE,
    )


class Crashing(Household):
    """A household whose author knows no other tasks than his own."""

    def task(self, id):
        return super().task(id) if id != "no such task" else {}[id]

    def start(self, task):
        return CrashingPlay(super().start(task))


class CrashingPlay:
    def __init__(self, play):
        self.play = play
        self.close = play.close

    @property
    def observation(self):
        return self.play.observation

    def step(self, action):
        return self.play.step({"help": "help"}.get(action) or action.removeprefix(None))


def test_a_crash_is_a_finding_with_its_place_and_not_a_traceback():
    found = check_environment(Crashing.generated(**EASY), per_split=1)
    assert found[0].startswith("KeyError \"'no such task'\" in test_environment_contract.py, line ")
    assert found[0].endswith(f": {check.ID_UNKNOWN}")
    assert any(f": {check.NONSENSE_HARMLESS}" in rule and "TypeError" in rule for rule in found)
    assert any(f": {check.NO_CRASH}" in rule for rule in found)


class Down(Household):
    """A household that somebody has to start first."""

    def start(self, task):
        raise UserError("the house is not open; start it")


def test_what_a_user_can_mend_is_no_broken_rule():
    with pytest.raises(UserError, match="the house is not open"):
        check_environment(Down.generated(**EASY))


def test_the_check_finds_nothing_where_nothing_is_spoiled():
    assert check_environment(Spoiled.generated(**EASY), per_split=1) == ()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rooms": 1}, "no setting of household 'rooms'; known: kinds, train"),
        ({"max_receptacles": "six"}, "setting 'max_receptacles' of household is 'six'"),
        ({"games": Path("games.jsonl"), "train": 3}, "no setting of household 'train'"),
    ],
)
def test_a_setting_that_an_environment_does_not_take_is_named(settings, says):
    with pytest.raises(UserError) as error:
        open_environment("household", **settings)
    assert says in str(error.value)
