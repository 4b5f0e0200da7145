import asyncio
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from distill.engine.engine import LocalPolicy, LocalSettings
from distill.engine.lanes import BLOCK
from distill.models.logprobs import decision_logprobs
from distill.models.models import DEFAULT_MODEL, load_model, load_tokenizer
from environments.episode import Completion, Split, Step
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import Message, Origin, Turn, opening, transcript
from real_model import kept_model
from tiny_models import a_model, a_tokenizer
from worlds import Workshop

KINDS = ("llama", "gpt_neox", "gpt2")
CHOICES = ("go", "go on", "go out", "stop")
MOST_STEPS = 4


pytestmark = pytest.mark.usefixtures("one_thread")


def a_policy(kind: str = "llama", **settings) -> LocalPolicy:
    chosen = LocalSettings(**{"lanes": 4, "length": 1024, **settings})
    return LocalPolicy("tiny", a_model(kind), a_tokenizer(), chosen)


def a_turn(seed: int = 0, *, admissible: tuple[str, ...] = CHOICES, text: str = "A door.") -> Turn:
    messages = opening("Rules.", "", text)
    return Turn(messages=messages, admissible=admissible, seed=seed, episode=f"episode {seed}")


def answers(policy: LocalPolicy, turns: list[Turn]) -> list[Completion]:
    async def ask() -> list[Completion]:
        return await asyncio.gather(*(policy.complete(turn) for turn in turns))

    return asyncio.run(ask())


def plays(policy: LocalPolicy, count: int) -> list[list[Step]]:
    """Play workshop tasks, as many at once as the policy is wide."""
    workshop = Workshop()

    async def play(number: int, room: asyncio.Semaphore) -> list[Step]:
        tasks = workshop.tasks(Split.TRAIN)
        steps: list[Step] = []
        async with room:
            now = (playing := workshop.start(tasks[number % len(tasks)])).observation
            while now.ending is None and len(steps) < MOST_STEPS:
                turn = Turn(
                    messages=transcript(workshop.instructions, "", steps, now.text),
                    admissible=now.admissible,
                    seed=derive(number, len(steps)),
                    episode=str(number),
                )
                said = await policy.complete(turn)
                step = Step(
                    observation=now.text,
                    admissible=now.admissible,
                    completion=said,
                    action=said.text,
                )
                steps.append(step)
                now = playing.step(said.text)
        return steps

    async def all_plays() -> list[list[Step]]:
        room = asyncio.Semaphore(policy.width)
        return await asyncio.gather(*(play(number, room) for number in range(count)))

    return asyncio.run(all_plays())


def computed_again(policy: LocalPolicy, steps: list[Step]) -> tuple[list[float], list[float]]:
    """Return the recorded logprobs of an episode's decisions and those of one full forward."""
    workshop = Workshop()
    said = Message(Origin.POLICY, steps[-1].completion.text, steps[-1].completion.token_ids)
    before = transcript(workshop.instructions, "", steps[:-1], steps[-1].observation)
    rendering = policy.renderer.render((*before, said))
    decisions = policy.renderer.decisions(rendering, [step.admissible for step in steps])
    recorded = {
        position: logprob
        for (start, _), step in zip(rendering.spans, steps, strict=True)
        for position, logprob in enumerate(step.completion.logprobs, start)
    }
    padded = [*rendering.ids, *[0] * (-len(rendering.ids) % BLOCK)]
    with torch.inference_mode():
        hidden_TE = policy.model.base_model(torch.tensor([padded])).last_hidden_state[0]
        head_VE = policy.model.get_output_embeddings().weight
        again_D = decision_logprobs(hidden_TE, head_VE, decisions, policy.temperature or 0.0)
    assert sum(logprob != 0 for logprob in recorded.values()) <= len(decisions)
    return [recorded[each.position] for each in decisions], again_D.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_admissible_and_recorded_token_by_token(kind):
    policy = a_policy(kind)
    for said in answers(policy, [a_turn(seed) for seed in range(12)]):
        assert said.text in CHOICES
        assert said.token_ids == policy.renderer.action(said.text)
        assert len(said.logprobs) == said.completion_tokens == len(said.token_ids)
        assert said.prompt_tokens == len(policy.renderer.prompt(a_turn().messages))


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_logprobs_are_those_of_one_full_forward(kind):
    policy = a_policy(kind, temperature=0.7)
    for steps in plays(policy, 3):
        recorded, again = computed_again(policy, steps)
        assert recorded == pytest.approx(again, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seeds_give_the_same_episodes_at_any_width(kind):
    narrow, middle, wide = (plays(a_policy(kind, lanes=lanes), 10) for lanes in (1, 4, 16))
    for other in (middle, wide):
        for left, right in zip(narrow, other, strict=True):
            assert [step.action for step in left] == [step.action for step in right]
            for one, two in zip(left, right, strict=True):
                assert one.completion.logprobs == pytest.approx(two.completion.logprobs, abs=1e-4)


def test_actions_are_chosen_as_often_as_the_model_says():
    policy = a_policy(lanes=16)
    said = answers(policy, [a_turn(seed) for seed in range(600)])
    chance = {each.text: torch.tensor(each.logprobs).sum().exp().item() for each in said}
    assert sum(chance.values()) == pytest.approx(1, abs=1e-4)  # all four actions came up
    found = Counter(each.text for each in said)
    for text, expected in chance.items():
        spread = (expected * (1 - expected) / len(said)) ** 0.5
        assert abs(found[text] / len(said) - expected) < 4 * spread


def test_at_temperature_zero_every_seed_says_the_likeliest():
    said = answers(a_policy(temperature=0.0), [a_turn(seed) for seed in range(5)])
    assert len({each.text for each in said}) == 1
    assert all(logprob > -1.2 for logprob in said[0].logprobs)  # the best of two or three


def test_an_only_action_is_certain():
    (said,) = answers(a_policy(), [a_turn(admissible=("go on",))])
    assert said.text == "go on"
    assert set(said.logprobs) == {0.0}


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_free_text_stops_at_its_limit_and_is_recorded_under_the_whole_vocabulary(kind):
    policy = a_policy(kind, max_tokens=6)
    said = answers(policy, [a_turn(seed, admissible=()) for seed in range(8)])
    for each in said:
        assert 1 <= len(each.token_ids) <= 6
        assert policy.renderer.end not in each.token_ids[:-1]
        assert len(each.token_ids) == 6 or each.token_ids[-1] == policy.renderer.end
    prompt = policy.renderer.prompt(a_turn().messages)
    with torch.inference_mode():
        first = policy.model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    for each in said:
        assert each.logprobs[0] == pytest.approx(first[each.token_ids[0]].item(), abs=1e-4)


def test_a_turn_whose_past_changed_is_answered_as_if_it_were_new():
    policy = a_policy(lanes=1)
    longer = replace(a_turn(text="A door. It is red and very large."), episode="same")
    shorter = replace(a_turn(text="A door."), episode="same")
    fresh = answers(a_policy(lanes=1), [shorter])
    answers(policy, [longer])
    (said,) = answers(policy, [shorter])
    assert said.text == fresh[0].text
    assert said.logprobs == pytest.approx(fresh[0].logprobs, abs=1e-5)


def test_a_transcript_that_fits_no_lane_is_refused_in_one_line():
    policy = a_policy(length=512)
    with pytest.raises(ContextFullError, match="a lane holds 512: raise `length`") as raised:
        answers(policy, [a_turn(text="far " * 200)])
    assert "\n" not in str(raised.value)
    assert answers(policy, [a_turn()])[0].text in CHOICES


def test_whoever_stops_waiting_does_not_disturb_the_others():
    policy = a_policy(lanes=2)
    expected = [each.text for each in answers(a_policy(lanes=2), [a_turn(s) for s in range(6)])]

    async def ask() -> list[str]:
        asked = [asyncio.ensure_future(policy.complete(a_turn(seed))) for seed in range(6)]
        await asyncio.sleep(0)
        asked[0].cancel()
        asked[4].cancel()
        return [(await each).text for i, each in enumerate(asked) if i not in (0, 4)]

    assert asyncio.run(ask()) == [expected[i] for i in (1, 2, 3, 5)]
    assert answers(policy, [a_turn(4)])[0].text == expected[4]


def test_a_model_that_fails_tells_everyone_who_waits():
    policy = a_policy("gpt_neox")
    policy.model.gpt_neox.layers = None

    async def ask() -> list[object]:
        turns = (policy.complete(a_turn(seed)) for seed in range(3))
        return await asyncio.gather(*turns, return_exceptions=True)

    assert {type(each) for each in asyncio.run(ask())} == {TypeError}


def test_after_training_it_acts_with_the_new_weights():
    policy = a_policy()
    (before,) = answers(policy, [a_turn(admissible=())])
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(0.5)
    policy.pull()
    (after,) = answers(policy, [a_turn(admissible=())])
    prompt = policy.renderer.prompt(a_turn().messages)
    with torch.inference_mode():
        logp = policy.model(torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    assert after.logprobs[0] == pytest.approx(logp[after.token_ids[0]].item(), abs=1e-4)
    assert after.logprobs[0] != pytest.approx(before.logprobs[0], abs=1e-3)


def test_weights_do_not_change_under_a_turn_that_is_being_written():
    policy = a_policy()

    async def ask() -> None:
        asked = asyncio.ensure_future(policy.complete(a_turn()))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="1 turns are still being written"):
            policy.pull()
        await asked

    asyncio.run(ask())


def test_it_may_be_closed_twice():
    policy = a_policy()
    answers(policy, [a_turn()])
    asyncio.run(policy.close())
    asyncio.run(policy.close())


def test_the_real_model_plays_the_same_at_any_width_and_records_what_training_will_see(
    pytestconfig,
):
    folder = kept_model(pytestconfig)
    model = load_model(folder, torch.float32, torch.device("cpu"))
    opened = [
        LocalPolicy(
            DEFAULT_MODEL, model, load_tokenizer(folder), LocalSettings(lanes=lanes, length=512)
        )
        for lanes in (1, 3)
    ]
    games = [plays(policy, 3) for policy in opened]
    assert {step.action for steps in games[0] for step in steps} <= {
        action for steps in games[0] for step in steps for action in step.admissible
    }
    for left, right in zip(*games, strict=True):
        assert [step.action for step in left] == [step.action for step in right]
        for one, two in zip(left, right, strict=True):
            assert one.completion.logprobs == pytest.approx(two.completion.logprobs, abs=1e-4)
        for before, after in pairwise(left):
            grown = before.completion.prompt_tokens + before.completion.completion_tokens
            assert after.completion.prompt_tokens > grown
    recorded, again = computed_again(opened[1], games[1][0])
    assert recorded == pytest.approx(again, abs=1e-4)
