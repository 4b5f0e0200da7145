"""A plan becomes a search that can be imitated: its order can be read off what was seen."""

import pytest

from distill.searching import Search, searched
from environments.episode import Ending, Split
from environments.household.games import KINDS
from environments.household.household import Household

WORLD = Household.generated(train=60)
ONE = Household.generated(kinds=("pick_and_place_simple",), max_receptacles=6, train=24)


def replay(world, task, actions):
    play = world.start(task)
    seen = [play.observation.text]
    for action in actions:
        assert action in play.observation.admissible
        seen.append(play.step(action).text)
    return play.observation.ending, seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_solves_what_the_plan_solves(kind):
    for task in (each for each in WORLD.tasks(Split.TRAIN) if each.kind == kind):
        ending, _ = replay(WORLD, task, searched(WORLD, task, WORLD.gold(task)))
        assert ending is Ending.SOLVED


def test_places_are_searched_in_the_order_in_which_they_were_named():
    for task in ONE.tasks(Split.TRAIN):
        found = searched(ONE, task, ONE.gold(task))
        _, seen = replay(ONE, task, found)
        until = next(i for i, action in enumerate(found) if action.startswith("take"))
        places = [action[6:] for action in found[:until] if action.startswith("go to")]
        assert places == sorted(places, key=seen[0].index)


def test_nothing_of_the_kind_is_passed_by():
    for task in ONE.tasks(Split.TRAIN):
        found = searched(ONE, task, ONE.gold(task))
        _, seen = replay(ONE, task, found)
        until = next(i for i, action in enumerate(found) if action.startswith("take"))
        kind = found[until].split()[1]
        assert all(f" {kind} " not in text for text in seen[1:until])


def test_closed_places_are_opened_on_the_way():
    task = next(
        each
        for each in ONE.tasks(Split.TRAIN)
        if any(a.startswith("open") for a in searched(ONE, each, ONE.gold(each)))
    )
    found = searched(ONE, task, ONE.gold(task))
    opened = next(i for i, action in enumerate(found) if action.startswith("open"))
    assert found[opened - 1] == f"go to {found[opened].removeprefix('open ')}"


def test_in_a_world_of_other_words_the_plan_stays_as_it_was():
    task = ONE.tasks(Split.TRAIN)[0]
    plan = ONE.gold(task)
    assert searched(ONE, task, plan, Search(go="fly")) == plan
