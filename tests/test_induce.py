"""A skill says what several demonstrations did, and nothing else."""

from collections import Counter
from dataclasses import replace
from string import Formatter

import pytest

from agent.critics.absorb import demonstrate
from environments.episode import Ending, Split
from environments.household.household import Household
from memory.knowledge.admission import refusal
from memory.knowledge.items import Move
from memory.making.abstract import lint
from memory.making.induce import induce, shape
from wandering import NOON, recorded
from worlds import Workshop

WORLD = Household.generated(train=72)


@pytest.fixture(scope="module")
def demonstrations():
    return [
        replace(demonstrate(recorded(WORLD, t, WORLD.gold(t), id=f"e{n}"), WORLD, NOON), id=f"D{n}")
        for n, t in enumerate(WORLD.tasks(Split.TRAIN))
    ]


def acting(*actions, of, task="t", goal="", kind="k"):
    moves = tuple(Move(observation="", action=action) for action in actions)
    return replace(of, moves=moves, task=task, goal=goal, kind=kind)


def test_each_kind_of_chore_gives_its_own_procedure(demonstrations):
    skills = induce(demonstrations, made=NOON)
    assert {skill.kind for skill in skills} == {task.kind for task in WORLD.tasks(Split.TRAIN)}
    heated = [skill for skill in skills if "heat" in skill.kind and "open" not in skill.name]
    assert heated[0].procedure == (
        "go to {place}",
        "take {object} from {place}",
        "go to {microwave}",
        "heat {object} with {microwave}",
        "go to {target}",
        "move {object} to {target}",
    )
    assert heated[0].precondition == (
        "The goal names {object}, {target}. Still to be found: {place}, {microwave}."
    )


def test_every_skill_may_be_stored_and_is_found_by_words_without_numbers(demonstrations):
    for skill in induce(demonstrations, made=NOON):
        assert refusal(skill) is None
        assert lint(skill) == ()


def test_a_skill_filled_in_is_what_each_of_its_demonstrations_did(demonstrations):
    by_id = {each.id: each for each in demonstrations}
    for skill in induce(demonstrations, made=NOON):
        for id in skill.demonstrations:
            assert replays(skill, by_id[id])


def replays(skill, demonstration):
    """Whether one choice of arguments turns the procedure into the actions, and solves."""
    arguments = {}
    for template, move in zip(skill.procedure, demonstration.moves, strict=True):
        rest = move.action
        for literal, name, _, _ in Formatter().parse(template):
            assert rest.startswith(literal)
            rest = rest[len(literal) :]
            if name is not None:
                value = " ".join(rest.split()[:2])
                assert arguments.setdefault(name, value) == value
                rest = rest.removeprefix(value)
        assert not rest
    task = WORLD.task(demonstration.task)
    actions = [action.format(**arguments) for action in skill.procedure]
    return recorded(WORLD, task, actions).ending is Ending.SOLVED


def test_two_things_of_one_class_are_two_parameters(demonstrations):
    two = [skill for skill in induce(demonstrations, made=NOON) if "two" in skill.kind]
    assert two
    for skill in two:
        assert {"object", "object_2", "target"} <= set(skill.parameters)
        assert max(Counter(skill.parameters).values()) == 1


def test_three_tasks_are_needed_and_three_attempts_at_one_are_not_enough(demonstrations):
    one = demonstrations[0]
    assert induce([replace(one, id=f"D{n}") for n in range(3)], made=NOON) == []
    tasks = [replace(one, id=f"D{n}", task=f"t{n}") for n in range(3)]
    assert len(induce(tasks, made=NOON)) == 1
    assert induce(tasks[:2], made=NOON) == []
    assert len(induce(tasks[:2], made=NOON, least=2)) == 1


def test_what_was_not_replayed_proves_nothing(demonstrations):
    tasks = [replace(demonstrations[0], id=f"D{n}", task=f"t{n}") for n in range(3)]
    assert induce([replace(each, replayed=False) for each in tasks], made=NOON) == []


def test_the_same_words_about_other_things_are_another_shape(demonstrations):
    one = demonstrations[0]
    same = acting("take cup 1 from bin 1", "move cup 1 to bin 1", of=one)
    other = acting("take cup 1 from bin 1", "move cup 1 to bin 2", of=one)
    renamed = acting("take pan 7 from box 3", "move pan 7 to box 3", of=one)
    assert shape(same) == shape(renamed)
    assert shape(same) != shape(other)


def test_a_shape_found_in_two_kinds_is_general(demonstrations):
    one = demonstrations[0]
    group = [
        acting("take cup 1 from bin 1", of=one, task=f"t{n}", kind=kind, goal="a cup")
        for n, kind in enumerate(["a", "b", "a"])
    ]
    assert [skill.kind for skill in induce(group, made=NOON)] == [""]


def test_a_world_without_numbers_gives_parameters_where_its_words_differ():
    shop = Workshop()
    found = [
        replace(demonstrate(recorded(shop, t, shop.gold(t)), shop, NOON), id=f"D{n}")
        for n, t in enumerate(shop.tasks(Split.TRAIN))
    ]
    (skill,) = induce(found, made=NOON)
    assert skill.procedure == ("go to {place}", "take {object}")
    assert skill.name == "go-take"


def test_a_name_of_many_verbs_is_cut_and_stays_its_own(demonstrations):
    long = [
        [acting(*["wash cup 1"] * 20, end, of=demonstrations[0], task=f"t{n}") for n in range(3)]
        for end in ("dry cup 1", "drop cup 1")
    ]
    names = {skill.name for group in long for skill in induce(group, made=NOON)}
    assert len(names) == 2
    assert max(map(len, names)) <= 64


def test_the_order_of_demonstrations_changes_no_procedure(demonstrations):
    one = {(s.name, s.procedure) for s in induce(demonstrations, made=NOON)}
    assert {(s.name, s.procedure) for s in induce(demonstrations[::-1], made=NOON)} == one
