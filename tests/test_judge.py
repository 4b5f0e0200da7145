"""Judges: what they are told, how their answers become numbers, over a socket and in process."""

import asyncio
import math
from dataclasses import replace

import pytest

from agent.critics.judge import UNDECIDED, Judge, Match, Rubric, anchor_of
from agent.critics.prompts.judge import FINISHED, after, of_one, of_two
from agent.endpoints.chat import ChatPolicy
from agent.endpoints.endpoint import Endpoint
from agent.scripted import Scripted
from criticizing import FAILED, WORLD
from distill.engine.engine import LocalPolicy, LocalSettings
from endpoint import says, serving
from environments.anchor import Anchor
from environments.errors import ContextFullError
from environments.transcript import Origin
from tiny_models import a_model, a_tokenizer

OTHER = replace(FAILED, id="e2", steps=FAILED.steps[:3], closing="a secret ending")


def judged(script, call, **options):
    return asyncio.run(call(Judge(Scripted(script), **options)))


def over_http(call, *behaviors, **options):
    """Return what a judge says whose model stands behind a real socket, and what it was asked."""
    with serving(*behaviors) as server:

        async def asked():
            policy = ChatPolicy(Endpoint(model="m", base_url=server.url, retries=0, timeout_s=5))
            judge = Judge(policy, **options)
            try:
                return await call(judge), judge
            finally:
                await policy.close()

        return *asyncio.run(asked()), server.requests


def test_a_judge_never_sees_how_the_attempt_ended():
    shown = replace(FAILED, closing="You have won!")
    for told in (of_one(shown, "?", 6000), of_two(shown, OTHER, 6000), after(shown, "Rules.")):
        words = " ".join(message.text for message in told)
        assert "You have won!" not in words
        assert "a secret ending" not in words
        assert shown.ending.value not in words


def test_asking_in_the_transcript_adds_nothing_but_the_question():
    told = after(FAILED, "Rules.")
    assert told[0].text == "Rules."
    assert [m.text for m in told if m.origin is Origin.POLICY] == [
        step.completion.text for step in FAILED.steps
    ]
    assert told[-1].text == FINISHED
    assert told[-2].origin is Origin.POLICY


def test_over_http_a_verdict_is_the_share_of_its_votes_and_unreadable_ones_are_undecided():
    votes = [says("yes"), says("Yes."), says("no"), says("I would rather not say")]
    verdict, judge, requests = over_http(lambda judge: judge.passes(FAILED), *votes, votes=4)
    assert verdict == pytest.approx((1 + 1 + 0 + UNDECIDED) / 4)
    assert (judge.asked, judge.unread) == (4, 1)
    assert len({request["seed"] for request in requests}) == 4
    assert FAILED.task.goal in requests[0]["messages"][-1]["content"]


def test_over_http_scores_and_confidences_are_means_of_numbers():
    scored, *_ = over_http(lambda j: j.scores(FAILED), says("7"), says("Score: 10"), votes=2)
    assert scored == 7  # the second names no choice alone
    sure, *_ = over_http(lambda j: j.sure(FAILED), says("80"), says("60"), votes=2)
    assert sure == pytest.approx(0.7)
    unread, judge, _ = over_http(lambda j: j.scores(FAILED), says("quite well"))
    assert (unread, judge.unread) == (5.5, 1)


def test_over_http_whoever_is_asked_in_both_orders_and_always_says_a_is_tied_and_caught():
    match, *_ = over_http(lambda judge: judge.compares(FAILED, OTHER), says("A"))
    assert match == Match(1.0, 0.0)
    assert (match.first, match.bias) == (0.5, 1.0)


def test_a_win_needs_both_orders():
    def longer(turn):
        first, _, second = turn.messages[-1].text.partition("Attempt B:")
        return "A" if len(first) > len(second) else "B"

    match = judged(longer, lambda judge: judge.compares(FAILED, OTHER))
    assert (match.first, match.bias) == (1.0, 0.5)
    assert judged(longer, lambda judge: judge.compares(OTHER, FAILED)).first == 0.0


def test_attempts_at_different_tasks_are_not_compared():
    stranger = replace(FAILED, task=replace(FAILED.task, id="elsewhere"))
    with pytest.raises(ValueError, match="different tasks"):
        judged(["A"], lambda judge: judge.compares(FAILED, stranger))


def test_a_rubric_is_a_gate_that_one_unmet_criterion_closes():
    def answer(turn):
        return "no" if "dog" in turn.messages[-1].text else "yes"

    criteria = ("It goes to a sink.", "It feeds the dog.")
    rubric = judged(answer, lambda judge: judge.meets(FAILED, criteria))
    assert rubric == Rubric(criteria, (1.0, 0.0))
    assert not rubric.open
    assert judged(answer, lambda judge: judge.meets(FAILED, criteria[:1])).open
    assert not Rubric(("?",), (UNDECIDED,)).open


def test_every_step_is_asked_for_by_its_number_and_action():
    def answer(turn):
        return "no" if "(look)" in turn.messages[-1].text.replace("'", "") else "yes"

    served = judged(answer, lambda judge: judge.served(FAILED))
    assert served == tuple(float(step.action != "look") for step in FAILED.steps)


def test_beliefs_are_asked_for_before_the_first_step_and_after_each_without_the_later_ones():
    def answer(turn):
        return "yes" if turn.messages[-1].text.count(" did: ") >= 2 else "no"

    beliefs = judged(answer, lambda judge: judge.beliefs(FAILED))
    assert beliefs == tuple(float(count >= 2) for count in range(len(FAILED.steps) + 1))


def test_a_record_that_does_not_fit_leaves_the_judge_undecided():
    def full(_):
        raise ContextFullError("too long")

    judge = Judge(Scripted(full))
    assert asyncio.run(judge.finished(FAILED, WORLD.instructions)) == UNDECIDED
    assert (judge.asked, judge.unread) == (1, 1)


@pytest.fixture
def local():
    settings = LocalSettings(lanes=4, length=8192, temperature=1.0)
    return LocalPolicy("tiny", a_model(max_position_embeddings=8192), a_tokenizer(), settings)


def test_in_process_a_verdict_is_known_exactly_from_one_answer(local):
    """Whatever was sampled, the chance of yes is the same."""

    async def chances():
        judges = [Judge(local, seed=seed, votes=3, room=800) for seed in range(12)]
        found = [await judge.passes(FAILED) for judge in judges]
        await local.close()
        return found, judges[0].asked

    found, asked = asyncio.run(chances())
    assert 0 < found[0] < 1
    assert max(found) - min(found) < 1e-9
    assert asked == 1


def test_in_process_a_greedy_judge_tells_the_same_chance(local):
    cold = LocalPolicy(
        "tiny", local.model, a_tokenizer(), LocalSettings(length=8192, temperature=0.0)
    )

    async def both():
        found = [await Judge(each, room=800).passes(FAILED) for each in (local, cold)]
        await local.close()
        await cold.close()
        return found

    warm, greedy = asyncio.run(both())
    assert math.isclose(warm, greedy, rel_tol=1e-9)


def test_the_anchor_of_a_judgment_is_who_judged_whom():
    assert anchor_of("m@new", "m@new") is Anchor.SELF
    assert anchor_of("m@old", "m@new", past=("m", "m@old")) is Anchor.PAST_POLICY
    assert anchor_of("openai:big", "m@new", past=("m",)) is Anchor.THIRD_PARTY_JUDGE
