"""The vLLM policy against a real HTTP server that speaks vLLM's protocol, and its faults."""

import asyncio
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.endpoints.endpoint import EndpointError
from apprentice.doctor import CHECKS, State
from apprentice.loop.jobs import learner
from apprentice.settings.acting import Named
from apprentice.settings.config import Actor, Config, Vllm
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import Elsewhere
from distill.sequences.encode import Encoded, Reading
from distill.sequences.render import Renderer
from environments.episode import Step
from environments.errors import ContextFullError
from learning import MOVES, an_episode, tiny_encoder, tokenizer
from vllm_endpoint import serving
from vllm_turns import BASE, SEEN, a_turn, answers, endpoint


def lora(name, folder="/adapters/some"):
    return replace(BASE, name=name, policy=f"vllm:tiny@{name}", lora=Path(folder))


def a_policy(url, version=BASE, **changes):
    return VllmPolicy(version, Elsewhere(url), endpoint(**changes), Renderer(tokenizer()))


def test_what_is_recorded_is_trained_on_token_by_token():
    with serving("tiny") as server:
        written = answers(a_policy(server.url), *map(a_turn, range(8)))
    assert {each.text for each in written} <= set(MOVES)
    assert len({each.text for each in written}) > 1
    steps = tuple(
        Step(observation=SEEN, admissible=MOVES, completion=replace(each, prompt_tokens=0),
             action=each.text)
        for each in written
    )  # fmt: skip
    read = tiny_encoder().encode(Reading(episode=replace(an_episode(), steps=steps)))
    assert isinstance(read, Encoded)
    among = [len(decision.allowed) for decision in read.decisions]
    assert read.sampled == pytest.approx([-math.log(many) for many in among])


def test_the_prompt_is_the_tokens_that_training_renders():
    with serving("tiny") as server:
        (written,) = answers(a_policy(server.url), a_turn())
    prompt = Renderer(tokenizer()).prompt(a_turn().messages)
    first = server.asked[1]["prompt"]  # after the one that tries the server out
    assert tuple(first) == prompt
    assert written.prompt_tokens == len(prompt)


def test_nothing_is_cut_from_the_distribution_that_is_sampled_from():
    with serving("tiny") as server:
        answers(a_policy(server.url), a_turn())
    asked = server.asked[-1]
    assert asked["top_p"] == 1.0
    assert asked["top_k"] == 0
    assert asked["min_p"] == 0.0
    assert asked["repetition_penalty"] == 1.0
    assert asked["temperature"] == 1.0


def test_any_text_is_an_action_where_nothing_is_listed():
    with serving("tiny") as server:
        (written,) = answers(a_policy(server.url), a_turn(admissible=()))
    assert written.text == "left right take"
    assert written.token_ids[-1] == Renderer(tokenizer()).end
    assert "allowed_token_ids" not in server.asked[-1]


def test_the_only_action_is_taken_without_asking():
    with serving("tiny") as server:
        (written,) = answers(a_policy(server.url), a_turn(admissible=("go left",)))
        assert server.asked == []
    assert written.token_ids == Renderer(tokenizer()).action("go left")
    assert written.logprobs == (0.0,) * 3


@pytest.mark.parametrize(
    ("how", "says_this"),
    [
        ({"raw": True}, "--logprobs-mode processed_logprobs"),
        ({"tells": False}, "told 0 token ids and 0 logprobs"),
    ],
)
def test_a_server_that_cannot_be_trained_from_is_refused_at_once(how, says_this):
    with serving("tiny", **how) as server, pytest.raises(EndpointError, match=says_this):
        answers(a_policy(server.url), a_turn())


def test_a_server_of_another_model_is_told_what_it_should_serve():
    with serving("huge") as server, pytest.raises(EndpointError) as told:
        answers(a_policy(server.url), a_turn())
    assert "serves huge, not 'tiny'" in str(told.value)
    assert "--served-model-name tiny" in str(told.value)


def test_an_answer_that_is_no_action_is_refused_and_not_guessed_at():
    with serving("tiny") as server:
        server.faults += [_even, _strays]
        with pytest.raises(EndpointError, match="none of those that it was held to"):
            answers(a_policy(server.url), a_turn())


def _even(handler):
    (sure, *_) = Renderer(tokenizer()).action("look")
    handler.send(200, _writing(sure, 0.0))


def _strays(handler):
    handler.send(200, _writing(8, -1.0))


def _writing(token, logprob, model="tiny"):
    choice = {"text": "", "token_ids": [token], "logprobs": {"token_logprobs": [logprob]}}
    return {"model": model, "choices": [choice]}


def test_an_answer_of_other_weights_is_refused():
    with serving("tiny") as server:
        server.faults += [_even, lambda handler: handler.send(200, _writing(6, -1.0, "huge"))]
        with pytest.raises(EndpointError, match="'tiny' was asked, and 'huge' answered"):
            answers(a_policy(server.url), a_turn())


def test_every_decision_draws_its_own_luck():
    with serving("tiny") as server:
        answers(a_policy(server.url), *map(a_turn, range(20)))
    seeds = [each["seed"] for each in server.asked[1:]]
    assert len(seeds) > 20
    assert len(set(seeds)) == len(seeds)


def test_forced_tokens_are_not_asked_for():
    with serving("tiny") as server:
        answers(a_policy(server.url), a_turn(admissible=("go left", "go right")))
    (asked,) = server.asked[1:]
    renderer = Renderer(tokenizer())
    assert asked["prompt"] == [*renderer.prompt(a_turn().messages), renderer.action("go left")[0]]
    ways = [renderer.action(way)[1] for way in ("go left", "go right")]
    assert asked["allowed_token_ids"] == sorted(ways)


@pytest.mark.parametrize(
    ("status", "said", "kind", "says_this"),
    [
        (400, "This model's maximum context length is 8", ContextFullError, "allow fewer steps"),
        (400, "Invalid grammar specification.", EndpointError, "Invalid grammar"),
        (500, "EngineCore encountered an issue", EndpointError, "look into the server's log"),
        (401, "Unauthorized", EndpointError, "refused the key"),
    ],
)
def test_what_the_server_refuses_is_one_line(status, said, kind, says_this):
    with serving("tiny") as server:
        server.faults += [_even, lambda handler: handler.refuse(status, said)]
        with pytest.raises(kind, match=says_this) as told:
            answers(a_policy(server.url), a_turn())
    assert "\n" not in str(told.value)


def test_a_server_that_is_not_there_is_named_with_its_setting():
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9/v1 .*set vllm\.url"):
        answers(a_policy("http://127.0.0.1:9/v1"), a_turn())


def test_a_lora_is_loaded_once_under_the_name_of_its_version():
    with serving("tiny") as server:
        policy = a_policy(server.url, lora("walker-1a2b3c4d"))
        written = answers(policy, *map(a_turn, range(5)))
    assert server.loads == ["walker-1a2b3c4d"]
    assert {each.version for each in written} == {"walker-1a2b3c4d"}


def test_a_lora_that_is_there_already_is_not_loaded_again():
    with serving("tiny") as server:
        server.loras["walker-1a2b3c4d"] = "/adapters/some"
        answers(a_policy(server.url, lora("walker-1a2b3c4d")), a_turn())
    assert server.loads == []


def test_a_lora_that_the_server_refuses_is_one_line():
    with serving("tiny") as server, pytest.raises(EndpointError, match="No adapter found"):
        answers(a_policy(server.url, lora("walker-1a2b3c4d", "/adapters/broken")), a_turn())


def test_a_server_that_was_started_again_is_given_the_lora_again():
    async def around_a_restart(server):
        policy = a_policy(server.url, lora("walker-1a2b3c4d"))
        before = await policy.complete(a_turn())
        server.loras.clear()
        after = await asyncio.gather(*(policy.complete(a_turn()) for _ in range(4)))
        await policy.close()
        return before, after

    with serving("tiny") as server:
        before, after = asyncio.run(around_a_restart(server))
    assert all(each == before for each in after)
    assert server.loras == {"walker-1a2b3c4d": "/adapters/some"}


def test_each_answer_carries_the_version_that_it_began_with():
    async def while_versions_change(server):
        policy = a_policy(server.url, lora("v1"))
        await policy.complete(a_turn())
        asked = []
        for name in ("v2", "v3"):
            asked += [asyncio.create_task(policy.complete(a_turn(seed))) for seed in range(6)]
            await asyncio.sleep(0.01)  # all of them are with the server
            await policy.adopt(lora(name))
            assert not all(each.done() for each in asked[-6:])
        asked += [asyncio.create_task(policy.complete(a_turn(seed))) for seed in range(6)]
        written = await asyncio.gather(*asked)
        assert policy.name == "vllm:tiny@v3"
        await policy.close()
        return [each.version for each in written]

    with serving("tiny", slow_s=0.1) as server:
        versions = asyncio.run(while_versions_change(server))
    assert versions == ["v1"] * 6 + ["v2"] * 6 + ["v3"] * 6


def test_fully_trained_weights_want_a_server_of_their_own():
    other = replace(BASE, name="night-1", served="night-1", begins=Path("/adapters/night"))

    async def adopt(server):
        policy = a_policy(server.url)
        try:
            await policy.adopt(other)
        finally:
            await policy.close()

    with serving("tiny") as server, pytest.raises(EndpointError, match="start another server"):
        asyncio.run(adopt(server))


def test_a_job_teaches_the_weights_that_act_on_vllm():
    config = Config(policy=Actor(use="vllm:small@walker"))
    assert learner(config) == Named("local", "small", "walker")


def doctor_says(policy="random", **vllm):
    found = CHECKS["vllm"](Config(policy=Actor(use=policy), vllm=Vllm(**vllm)))
    return found.state, found.words


def test_the_doctor_says_how_vllm_is_had_and_that_it_is_not_needed_by_default():
    state, words = doctor_says()
    assert state is State.NOTE
    assert "not needed by default" in words
    assert "vllm.python" in words


@pytest.mark.parametrize(("policy", "state"), [("random", State.NOTE), ("vllm", State.BAD)])
def test_the_doctor_misses_a_vllm_that_is_configured_and_not_there(policy, state, tmp_path):
    nowhere = doctor_says(policy, python=tmp_path / "nowhere")
    assert (nowhere[0], "names no file" in nowhere[1]) == (state, True)
    without = doctor_says(policy, python=Path(sys.executable))
    assert (without[0], "has no vLLM" in without[1]) == (state, True)
    silent = doctor_says(policy, url="http://127.0.0.1:9/v1")
    assert (silent[0], "nothing answers" in silent[1]) == (state, True)


def test_the_doctor_finds_a_vllm_and_does_not_start_it(tmp_path, monkeypatch):
    (tmp_path / "vllm.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    state, words = doctor_says("vllm", python=Path(sys.executable))
    assert (state, sys.executable in words) == (State.GOOD, True)
    with serving("tiny") as server:
        assert doctor_says("vllm", url=server.url) == (
            State.GOOD,
            f"a server answers at {server.url}",
        )
