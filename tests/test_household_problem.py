from random import Random

import pytest

from environments.episode import Split
from environments.household.engine import House
from environments.household.games import KINDS
from environments.household.generator import Seed, game_of
from environments.household.goal import compile_goal
from environments.household.problem import Problem, ProblemError, parse_problem, write_problem
from small_house import APPLE_ON_DESK, small_problem


def a_problem(kind: str, number: int = 1) -> Problem:
    seed = Seed(split=Split.TRAIN, kind=kind, number=number, max_receptacles=8, max_objects=12)
    return game_of(seed).problem


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_that_is_written_and_read_is_the_same(kind):
    problem = a_problem(kind)
    assert parse_problem(write_problem(problem, "plan_1")) == problem


def test_comments_line_breaks_and_capitals_do_not_matter():
    text = small_problem()
    strange = text.replace(" (", " ; a remark ) here\n\t(").upper()
    assert parse_problem(strange) == parse_problem(text)


def test_several_objects_may_share_one_type():
    text = small_problem().replace("(:objects ", "(:objects spare_bar_1 spare_bar_2 - object ")
    assert {"spare_bar_1", "spare_bar_2"} < set(parse_problem(text).of_type("object"))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.99])
def test_a_problem_that_is_cut_off_is_refused_in_one_line(share):
    text = write_problem(a_problem(KINDS[0]), "plan_1")
    with pytest.raises(ProblemError, match=r"not a household problem: .*; give") as refused:
        parse_problem(text[: int(share * len(text))])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "goal", ["(forall (?o - object) (isClean ?o))", "(and (isPretty agent1))", "(and bare)"]
)
def test_a_goal_in_words_alfworld_does_not_use_is_refused(goal):
    problem = parse_problem(small_problem(goal))
    with pytest.raises(ProblemError, match="its goal"):
        compile_goal(problem)


def naive(problem, expression, state, bound):
    """Evaluate a goal by trying every identifier for every variable."""
    head, *rest = expression
    if head == "and":
        return all(naive(problem, each, state, bound) for each in rest)
    if head == "not":
        return not naive(problem, rest[0], state, bound)
    if head == "exists":
        (variable, _, kind, *others), body = rest
        inner = ("exists", tuple(others), body) if others else body
        return any(
            naive(problem, inner, state, {**bound, variable: each})
            for each in problem.of_type(kind)
        )
    values = tuple(bound.get(term, term) for term in rest)
    changing = {
        "=": lambda: values[0] == values[1],
        "inreceptacle": lambda: values[0] in state.contents[values[1]],
        "holds": lambda: state.held == values[1],
        "atlocation": lambda: state.location == values[1],
        "isclean": lambda: values[0] in state.clean,
        "ishot": lambda: values[0] in state.hot,
        "iscool": lambda: values[0] in state.cool,
        "istoggled": lambda: values[0] in state.toggled,
    }
    if head in changing:
        return changing[head]()
    return values in problem.facts.get(head, ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_goal_agrees_with_trying_everything(kind):
    seed = Seed(split=Split.TRAIN, kind=kind, number=2, max_receptacles=5, max_objects=6)
    game = game_of(seed)
    house, rng, answers = House(game.problem), Random(kind), set()
    for _ in range(4):
        state = house.start
        wander = [None] * rng.randrange(8)
        for action in [*wander, *game.gold]:
            moves = house.moves(state)
            chosen = action if action in moves else rng.choice(sorted(moves))
            state, _ = house.apply(state, moves[chosen])
            expected = naive(game.problem, game.problem.goal, state, {})
            assert house.solved(state) is expected
            answers.add(expected)
    assert answers == {True, False}


def test_a_goal_about_two_things_needs_two_different_ones():
    house = House(a_problem("pick_two_obj_and_place"))
    gold = game_of(
        Seed(
            split=Split.TRAIN,
            kind="pick_two_obj_and_place",
            number=1,
            max_receptacles=8,
            max_objects=12,
        )
    ).gold
    state, solved = house.start, []
    for action in gold:
        state, _ = house.apply(state, house.moves(state)[action])
        solved.append(house.solved(state))
    assert solved == [False] * (len(gold) - 1) + [True]


def test_the_small_house_is_solved_by_an_apple_on_the_desk():
    problem = parse_problem(small_problem(APPLE_ON_DESK))
    house = House(problem)
    state = house.start
    for action in (
        "go to countertop 1",
        "take apple 2 from countertop 1",
        "go to desk 1",
        "move apple 2 to desk 1",
    ):
        assert not house.solved(state)
        state, _ = house.apply(state, house.moves(state)[action])
    assert house.solved(state)
