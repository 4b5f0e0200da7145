"""What the three critics say, how their words are weighed, whether they mean what they say."""

import asyncio
from dataclasses import asdict
from math import log
from random import Random

import pytest

from agent.critics.judge import Judge
from agent.search.calibration import FEWEST, calibrated, evidence, expected_error, isotonic
from agent.search.critics import (
    Aspect,
    Estimate,
    Opinion,
    OutcomeJudge,
    ProcessJudge,
    Weighed,
    WorldCritic,
    ask,
)
from agent.search.tree import Branch
from bench.maze import MAZE_SETTINGS, OTHERS, critics_of, maze
from environments.episode import Completion, Ending, Split, Step
from thickets import Knowing, Thicket, critics, searched

WORLD = Thicket(depth=4, width=3, goals={(0, 1, 2, 0)})


def a_branch(*ways, ending=None):
    steps = tuple(
        Step(observation="A fork.", completion=Completion(text=str(way)), action=str(way))
        for way in ways
    )
    return Branch(WORLD.tasks(Split.TRAIN)[0], steps, "The end.", ending)


def score(critic, *branches):
    return list(asyncio.run(critic.score(branches)))


def test_the_world_knows_what_was_solved_and_calls_all_else_lost():
    branches = (a_branch(ending=Ending.SOLVED), a_branch(ending=Ending.TRUNCATED), a_branch())
    assert score(WorldCritic(), *branches) == [1.0, -1.0, -1.0]


def test_what_the_critics_say_is_weighed_by_their_weights_and_who_is_silent_does_not_count():
    three = {
        Aspect.VALUE: Weighed(WorldCritic(), 1.0),
        Aspect.PROCESS: Weighed(WorldCritic(), 2.0),
        Aspect.OUTCOME: Weighed(WorldCritic(), 1.0),
    }
    said = Opinion({Aspect.VALUE: 0.5, Aspect.PROCESS: -1.0, Aspect.OUTCOME: 1.0})
    assert said.score(three) == pytest.approx((0.5 - 2.0 + 1.0) / 4)
    assert Opinion({Aspect.PROCESS: 0.3}).score(three) == pytest.approx(0.3)
    assert Opinion().score(three) == 0.0


def test_a_weight_of_nothing_is_refused():
    with pytest.raises(ValueError, match="leave the critic out"):
        Weighed(WorldCritic(), 0.0)


def test_a_critic_that_exaggerates_is_clipped():
    loud = critics(value=Knowing(lambda path: 7.0 * len(path) - 3))
    assert asyncio.run(ask(loud, Aspect.VALUE, [a_branch(), a_branch(1)])) == (-1.0, 1.0)


class Yes:
    """A model that says yes to what names way 1, with a chance of three in four."""

    name = "judge"
    temperature = 0.0
    width = 4

    def __init__(self):
        self.questions = []

    async def complete(self, turn):
        question = turn.messages[-1].text
        self.questions.append(question)
        text = "yes" if "'1'" in question.rpartition("\n")[2] else "no"
        return Completion(text=text, token_ids=(1,), logprobs=(log(0.75),))

    async def close(self):
        """Hold nothing."""


def test_the_process_judge_is_asked_of_the_last_step_alone():
    model = Yes()
    assert score(ProcessJudge(Judge(model)), a_branch(0, 1), a_branch(1, 0)) == [0.5, -0.5]
    assert all("Did step 1 (" in question for question in model.questions)


def test_the_outcome_judge_reads_the_branch_and_is_not_told_how_it_ended():
    model = Yes()
    judge = OutcomeJudge(Judge(model))
    assert score(judge, a_branch(0, 1, ending=Ending.SOLVED)) == [-0.5]
    assert "The end." not in model.questions[0]
    assert "Did the agent reach the goal?" in model.questions[0]


def test_an_estimate_of_chances_becomes_scores():
    async def chances(branches):
        return [len(each.steps) / 4 for each in branches]

    assert score(Estimate("head", chances), a_branch(), a_branch(1, 2)) == [-1.0, 0.0]


def test_a_curve_is_the_nearest_map_that_never_falls():
    rng = Random(1)
    opinions = [(score, float(rng.random() < (score + 1) / 2)) for score in grid(40)]
    curve = isotonic(opinions)
    fitted = [curve(score) for score, _ in opinions]
    assert fitted == sorted(fitted)

    def loss(chances):
        return sum((p - came) ** 2 for p, (_, came) in zip(chances, opinions, strict=True))

    for _ in range(2_000):  # no other never falling map is nearer
        other = sorted(p + rng.gauss(0, 0.1) for p in fitted)
        assert loss(other) >= loss(fitted) - 1e-12


def grid(count):
    return [2 * i / (count - 1) - 1 for i in range(count)]


def test_the_error_is_nothing_for_who_is_right_and_large_for_who_is_overconfident():
    assert expected_error([(0.25, 1), (0.25, 0), (0.25, 0), (0.25, 0)]) == 0.0
    assert expected_error([(1.0, 1), (1.0, 0)]) == 0.5


def test_calibration_is_reported_before_and_after_and_mends_a_biased_critic():
    rng = Random(3)
    opinions = []
    for _ in range(600):
        chance = rng.random()
        biased = min(2 * chance - 1 + 0.8, 1.0)
        opinions.append((biased, float(rng.random() < chance)))
    told = calibrated("head", opinions)
    assert told.opinions == 600
    assert told.error > 0.3
    assert told.error_after < 0.1
    assert told.curve(0.8) == pytest.approx(0.5, abs=0.18)


def test_too_few_opinions_give_no_curve():
    told = calibrated("head", [(0.5, 1.0)] * (FEWEST - 1))
    assert told.curve is None
    assert told.error_after is None
    assert told.error == pytest.approx(0.25)


def test_a_search_notes_what_its_critics_said_and_what_came_of_it():
    three = critics(value=Knowing(lambda _: 0.5), outcome=WorldCritic())
    search = searched(WORLD, critics=three, budget=200, until_solved=False)
    said = search.opinions[Aspect.VALUE]
    assert {each for each, _ in said} == {0.5}
    assert {came for _, came in said} <= {0.0, 1.0}
    assert calibrated("value", said).error == pytest.approx(
        0.75 - sum(came for _, came in said) / len(said)
    )


def test_what_scores_have_told_is_their_log_odds_beyond_those_of_anyone():
    said = [(1.0, 1.0)] * 30 + [(1.0, 0.0)] * 10 + [(-1.0, 1.0)] * 10 + [(-1.0, 0.0)] * 50
    told = evidence(said)
    assert told.base == 0.4
    assert told(1.0) == pytest.approx(log((30.4 / 41) / (10.6 / 41)) - log(0.4 / 0.6))
    assert told(-1.0) == pytest.approx(log((10.4 / 61) / (50.6 / 61)) - log(0.4 / 0.6))


def test_what_was_seen_once_proves_little_and_what_always_ended_alike_nothing():
    once = [(0.9, 1.0)] + [(0.0, 0.0)] * 60 + [(0.1, 1.0), (0.1, 0.0)]
    often = once + [(0.9, 1.0)] * 30
    assert evidence(once)(0.9) < evidence(often)(0.9)
    assert evidence([(0.3, 0.0)] * 50) is None
    assert evidence([(0.3, 0.0), (0.5, 1.0)]) is None


def test_a_critic_whose_scores_always_ended_alike_adds_nothing_to_the_others():
    """A chatterbox that is right as often whatever it says."""
    said = [(score, came) for score in (-1.0, 1.0) for came in [1.0] * 10 + [0.0] * 30]
    seer = evidence([(1.0, 1.0)] * 20 + [(-1.0, 0.0)] * 20)
    both = {
        Aspect.VALUE: Weighed(WorldCritic(), evidence=seer),
        Aspect.PROCESS: Weighed(WorldCritic(), evidence=evidence(said)),
    }
    alone = Opinion({Aspect.VALUE: 1.0}).score(both)
    assert alone > 0.9
    for word in (-1.0, 1.0):
        heard = Opinion({Aspect.VALUE: 1.0, Aspect.PROCESS: word}).score(both)
        assert heard == pytest.approx(alone, abs=1e-9)


MAZES = 100


def told_before():
    said = {aspect: [] for aspect in (Aspect.VALUE, Aspect.PROCESS)}
    for seed in OTHERS[:40]:
        world = maze(seed)
        search = searched(world, seed, critics=critics_of(world, seed), **asdict(MAZE_SETTINGS))
        for aspect, opinions in said.items():
            opinions += search.opinions.get(aspect, ())
    return {aspect: evidence(opinions) for aspect, opinions in said.items()}


def solved(known, without=None):
    count = 0
    for seed in range(MAZES):
        held = {k: v for k, v in critics_of(maze(seed), seed, known).items() if k is not without}
        search = searched(maze(seed), seed, critics=held, **asdict(MAZE_SETTINGS))
        count += search.found.ending is Ending.SOLVED
    return count


def test_each_critic_that_is_left_out_lowers_what_is_solved():
    """Where the value is biased, the process judge noisy and the outcome judge exact."""
    known = told_before()
    whole = solved(known)
    fewer = {aspect: solved(known, without=aspect) for aspect in Aspect}
    assert all(count < whole for count in fewer.values()), (whole, fewer)
