"""Knock-outs, biases, answers that are asked for once, and where reports are kept."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import numpy as np
import pytest

from agent.critics.judge import Judge
from agent.scripted import Scripted
from apprentice.audits.answers import Answers
from apprentice.audits.hearing import ROUNDS, biases, knock_out
from apprentice.findings.place import keep_beside
from apprentice.findings.progress import counting
from apprentice.findings.report import Findings, Made, Report
from auditing import attempt
from environments.episode import Split
from environments.household.household import Household
from environments.transcript import Message, Origin, Turn
from practicing import Dawdling

WORLD = Household.generated(train=6)
TASK = WORLD.tasks(Split.TRAIN)[0]


def group(*solved, policy="p"):
    return [attempt(WORLD, TASK, n, each, policy) for n, each in enumerate(solved)]


def truthful(turn):
    first, _, second = turn.messages[-1].text.partition("Attempt B:")
    good = ["did: go to" in each or "did: take" in each for each in (first, second)]
    return "A" if good[0] >= good[1] else "B"


@pytest.mark.parametrize("seed", range(5))
def test_a_knock_out_with_an_oracle_keeps_a_solved_attempt_of_each_group_that_has_one(seed):
    attempts = group(*(n in (1, 6) for n in range(10)))
    draw = np.random.default_rng(seed).permutation(10).tolist()
    kept, matches = asyncio.run(knock_out(Judge(Scripted(truthful)), attempts, draw))
    assert kept.sum() == 2, "two groups of four play, two attempts do not"
    assert len(matches) == 2 * 3
    groups = [set(draw[:4]), set(draw[4:8])]
    survivors = set(np.flatnonzero(kept).tolist())
    for members in groups:
        (survivor,) = members & survivors
        assert attempts[survivor].solved == any(attempts[each].solved for each in members)
    assert 1 << ROUNDS == 4


def test_a_judge_without_an_opinion_leaves_the_knock_out_to_the_draw():
    kept, matches = asyncio.run(
        knock_out(Judge(Scripted(lambda _: "A")), group(*[False] * 4), [2, 0, 1, 3])
    )
    assert np.flatnonzero(kept).tolist() == [2]
    assert {match.first for match in matches} == {0.5}


def test_a_judge_that_prefers_its_own_is_caught_among_attempts_that_ended_alike():
    mine = [replace(each, id=f"m{n}") for n, each in enumerate(group(False, False, policy="me"))]
    theirs = group(False, False, policy="them")

    own = {" ".join(each.actions) for each in mine}

    def acted(record):
        steps = [line.partition(" did: ")[2] for line in record.splitlines()]
        return " ".join(step for step in steps if step)

    def vain(turn):
        first, _, second = turn.messages[-1].text.partition("Attempt B:")
        return "B" if acted(second) in own and acted(first) not in own else "A"

    writer = Scripted(vain)
    writer.name = "me"
    judge = Judge(writer)
    found = asyncio.run(biases(judge, [[*mine, *theirs]]))
    assert (found.own, found.own_pairs) == (1.0, 4)
    fair = asyncio.run(biases(Judge(Scripted(lambda _: "A")), [[*mine, *theirs]]))
    assert (fair.own, fair.first) == (None, 1.0), "it is none of those who acted"


def a_turn(words, seed=0):
    return Turn(messages=(Message(Origin.TASK, words),), seed=seed, episode="e")


def test_the_same_question_is_asked_once_even_by_many_at_the_same_time(tmp_path):
    policy = Dawdling(Scripted(lambda turn: turn.messages[0].text.upper()))
    ticks = count()

    async def ask(words):
        async with Answers(policy, tmp_path / "answers.jsonl", lambda: next(ticks)) as answers:
            said = await asyncio.gather(*(answers.complete(a_turn(each)) for each in words))
            return [each.text for each in said], answers.asked

    assert asyncio.run(ask(["a", "b", "a", "a"])) == (["A", "B", "A", "A"], 2)
    assert asyncio.run(ask(["b", "c"])) == (["B", "C"], 1)
    assert policy.asked == 3


def test_another_seed_another_model_or_another_choice_is_another_question(tmp_path):
    policy = Dawdling(Scripted(lambda _: "x"))

    async def ask(turn):
        async with Answers(policy, tmp_path / "answers.jsonl", lambda: 0.0) as answers:
            await answers.complete(turn)

    turn = a_turn("a")
    for each in (turn, turn, replace(turn, seed=1), replace(turn, admissible=("x", "y"))):
        asyncio.run(ask(each))
    assert policy.asked == 3
    policy.name = "other"
    asyncio.run(ask(turn))
    assert policy.asked == 4


def test_progress_is_a_line_at_the_end_where_nobody_watches(capsys):
    with counting("answers", 3) as seen:
        for _ in range(3):
            seen()
    assert capsys.readouterr().err == "3/3 answers\n"


def test_a_report_can_be_kept_beside_an_adapter(tmp_path):
    made = Made(
        audit="gap", id="1", command="apprentice audit gap", settings="{}",
        at=datetime(2026, 11, 24, tzinfo=UTC), models={"policy": "p"}, seed=0, samples={"tasks": 2},
        cost={},
    )  # fmt: skip
    found = Findings(verdict=("fine",), models={}, samples={}, figures={"gap": float("nan")})
    folder = keep_beside(Report(made, found), tmp_path / "walker")
    assert folder == tmp_path / "walker" / "audits" / "gap"
    assert json.loads((folder / "report.json").read_text())["figures"] == {"gap": None}
    assert "<h1>audit gap: p</h1>" in (folder / "report.html").read_text()
