"""A plan carried out by somebody who has to find things: in an order that can be learned."""

import pytest

from distill.teaching.searching import Searcher, Whereabouts, kind_of, practicable, surveyed
from environments.environment import ongoing
from environments.episode import Ending, Split
from environments.household.games import KINDS
from environments.household.household import Household

WORLD = Household.generated(train=60)
TASKS = WORLD.tasks(Split.TRAIN)
KNOWN = surveyed(WORLD, TASKS)


def carried_out(task, plan, known=KNOWN, detour=()):
    """Return the play, and all that was done in it."""
    play, done = WORLD.start(task), []
    searcher = Searcher(plan, play.observation, known)

    def act(action):
        done.append(action)
        searcher.saw(action, play.step(action))

    for action in detour:
        act(action)
    while play.observation.ending is None and len(done) < 100:
        act(searcher.next(play.observation))
    return play, done


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_solves_what_the_plan_solves(kind):
    for task in (each for each in TASKS if each.kind == kind):
        plan = practicable(WORLD, task, WORLD.gold(task), KNOWN)
        play, _ = carried_out(task, plan)
        assert play.observation.ending is Ending.SOLVED


def test_the_likeliest_places_are_looked_into_first_and_none_twice():
    for task in TASKS:
        plan = practicable(WORLD, task, WORLD.gold(task), KNOWN)
        _, done = carried_out(task, plan)
        until = next(i for i, action in enumerate(done) if action.startswith(("take", "use")))
        looked = [action.removeprefix("go to ") for action in done[:until] if "go to" in action]
        assert len(set(looked)) == len(looked)
        thing = " ".join(done[until].split()[1:3])
        avoided = kind_of(plan[-1].rpartition(" to ")[2])  # what is there already does not count
        worths = [KNOWN.worth(thing, place) for place in looked if kind_of(place) != avoided]
        assert worths == sorted(worths, reverse=True)


def test_a_thing_seen_on_a_detour_is_gone_back_for():
    task = next(t for t in TASKS if t.kind == "pick_and_place_simple")
    plan = practicable(WORLD, task, WORLD.gold(task), KNOWN)
    _, found = carried_out(task, plan)
    taken = next(i for i, action in enumerate(found) if action.startswith("take"))
    source = next(a for a in reversed(found[:taken]) if a.startswith("go to"))
    opened = [a for a in found[:taken] if a == f"open {source.removeprefix('go to ')}"]
    elsewhere = next(
        a
        for a in WORLD.start(task).observation.admissible
        if a.startswith("go to") and a != source and a not in found
    )
    _, done = carried_out(task, plan, detour=[source, *opened, elsewhere])
    after = done[len(opened) + 2 :]
    assert after[:2] == [source, found[taken]]


def test_of_several_of_a_kind_another_than_the_plan_named_will_do():
    taken_other = 0
    for task in (each for each in TASKS if each.kind == "pick_two_obj_and_place"):
        plan = practicable(WORLD, task, WORLD.gold(task), KNOWN)
        _, done = carried_out(task, plan)
        moved = [a.split()[1:3] for a in done if a.startswith("move")]
        assert len(moved) == 2
        assert moved[0] != moved[1]
        taken_other += moved != [a.split()[1:3] for a in plan if a.startswith("move")]
    assert taken_other > 0


def test_what_was_seen_somewhere_makes_it_worth_looking_there():
    known = Whereabouts()
    known.survey(WORLD, TASKS[0])
    assert known.places.total() >= len(known.places) > 0
    kind, places = next((kind, held) for kind, held in known.held.items() if held.total())
    place = next(iter(places))
    empty = next(p for p in known.places if p not in places)
    assert known.worth(f"{kind} 1", f"{place} 1") > known.worth(f"{kind} 1", f"{empty} 1")


def test_a_plan_in_other_words_cannot_be_carried_out():
    assert practicable(WORLD, TASKS[0], ("fly to the moon", "land on it"), KNOWN) is None


def test_places_without_numbers_are_looked_into_like_any_other():
    start = ongoing("You see an attic and a hall.", ("go to attic", "go to hall"))
    searcher = Searcher(("go to hall", "take saw 1"), start, Whereabouts())
    assert searcher.next(start) == "go to attic"
    searcher.saw("go to attic", ongoing("Nothing is here.", ("go to hall",)))
    assert searcher.next(ongoing("Nothing is here.", ("go to hall",))) == "go to hall"
