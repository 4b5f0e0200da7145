"""The real vLLM, in its own environment, with the real SmolLM2: minutes, and only where it is.

Name its interpreter by APPRENTICE_VLLM__PYTHON, as for a run.
"""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from agent.endpoints.endpoint import Endpoint, EndpointError
from apprentice.audits.twins import twins
from apprentice.settings.acting import Acting
from apprentice.settings.config import Actor, Budget, Config, Vllm
from apprentice.vllm.policy import VllmPolicy
from apprentice.vllm.server import INSTALL, Server, Start
from apprentice.vllm.version import version_of
from distill.models.adapters import Adapters, Lineage, load_student
from distill.models.models import load_tokenizer
from distill.models.trained import Trained
from distill.sequences.render import Renderer
from environments.episode import Split
from environments.transcript import Turn, opening
from real_model import kept_model

PYTHON = os.environ.get("APPRENTICE_VLLM__PYTHON", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason=f"no vLLM is configured: {INSTALL}"),
]

OPTIONS = ("--enforce-eager", "--max-model-len", "4096")
"""Without a compiler: it would take a minute, for a few hundred tokens."""

SMALL = {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ACTIONS = ("go to desk 1", "go to desk 12", "go to shelf 2", "take mug 1 from desk 1", "look")


@pytest.fixture(scope="module")
def base(request):
    return kept_model(request.config)


def a_server(version, tmp_path):
    return Server(
        Start(
            python=Path(PYTHON),
            version=version,
            dtype="bfloat16",
            options=OPTIONS,
            variables={**os.environ, **SMALL},
            log=tmp_path / "vllm.log",
            patience_s=600.0,
        )
    )


def a_policy(base, version, server, **changes):
    plain = {"temperature": 1.0, "timeout_s": 300.0, "retries": 1}
    endpoint = Endpoint(model=version.name, base_url="", **plain | changes)
    return VllmPolicy(version, server, endpoint, Renderer(load_tokenizer(base)))


def a_turn(seed):
    messages = opening("You are in a room.", "", f"You see a desk 1 and a shelf {seed}.")
    return Turn(messages=messages, admissible=ACTIONS, seed=seed, episode=f"e{seed}")


def two_loras(base, folder):
    """Return two adapters that say the same in opposite ways: what one likes the other does not."""
    kept = Adapters(folder)
    lineage = Lineage(
        name="up", base="smollm2-135m", parent=None, trained=Trained.LORA, objective="reward",
        episodes=(), seed=0, made=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    for name, sign in (("up", 1.0), ("down", -1.0)):
        student = load_student(
            None, base, Trained.LORA, dtype=torch.bfloat16, device=torch.device("cpu"), rank=8
        )
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in student.weights.values():
                weight += sign * 0.02 * torch.randn(weight.shape, generator=noise)
        kept.add(student, load_tokenizer(base), replace(lineage, name=name))
    return [
        version_of(Acting("vllm", "smollm2-135m", name, folder / name), base)
        for name in ("up", "down")
    ]


def test_greedy_episodes_are_those_of_the_local_policy_up_to_its_numerics(base, tmp_path):
    config = Config(
        home=tmp_path,
        policy=Actor(use=f"vllm:{base}@base", dtype="bfloat16", width=10),
        limits=Budget(steps=8),
        vllm=Vllm(python=Path(PYTHON), options=OPTIONS),
    )
    config = config.model_copy(
        update={"endpoint": config.endpoint.model_copy(update={"timeout_s": 300.0})}
    )
    found = twins(config, Split.TRAIN, 10)
    assert found.served.mismatch.decisions > 100
    assert found.own.mismatch.mean < 0.05  # the local engine's own distance, in bfloat16
    assert found.served.mismatch.mean < 0.05
    assert found.served.mismatch.kl < 0.02
    assert found.served.mismatch.capped < 0.01
    assert found.together >= found.own.steps // 4


def test_versions_are_swapped_under_load_and_each_answer_carries_its_own(base, tmp_path):
    up, down = two_loras(base, tmp_path / "adapters")
    server = a_server(up, tmp_path)
    policy = a_policy(base, up, server)

    async def under_load():
        answers, versions = [], []
        try:
            await policy.complete(a_turn(0))
            for version in (down, up, down):
                asked = [asyncio.create_task(policy.complete(a_turn(seed))) for seed in range(8)]
                await asyncio.sleep(0.05)
                versions += [policy._version.name] * 8
                await policy.adopt(version)
                answers += await asyncio.gather(*asked)
            alone = [(await policy.complete(a_turn(seed))) for seed in range(8)]
        finally:
            await policy.close()
        return answers, versions, alone

    answers, versions, alone = asyncio.run(under_load())
    assert [each.version for each in answers] == versions
    assert len({each.version for each in answers}) == 2
    ups, downs = answers[:8], answers[8:16]
    assert [each.logprobs for each in ups] != [each.logprobs for each in downs]
    for busy, quiet in zip(downs, alone, strict=True):
        assert busy.version == quiet.version == down.name
        if busy.token_ids == quiet.token_ids:  # the same weights, in another batch
            assert busy.logprobs == pytest.approx(quiet.logprobs, abs=0.1)


def test_a_server_that_is_killed_is_told_and_the_next_one_goes_on(base, tmp_path):
    version = version_of(Acting("vllm", "smollm2-135m", "base", None), base)

    async def killed_in_between():
        server = a_server(version, tmp_path)
        policy = a_policy(base, version, server)
        before = await policy.complete(a_turn(1))
        for pid in _engines(tmp_path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            with pytest.raises(EndpointError, match="our vLLM server ended"):
                await policy.complete(a_turn(2))
        finally:
            await policy.close()
        again = a_policy(base, version, a_server(version, tmp_path))
        try:
            after = await again.complete(a_turn(1))
        finally:
            await again.close()
        return before, after

    before, after = asyncio.run(killed_in_between())
    assert before.token_ids == after.token_ids
    assert before.logprobs == pytest.approx(after.logprobs, abs=1e-3)
    assert not _engines(tmp_path)


def _engines(tmp_path):
    """Return the processes that write to this test's log."""
    log = str(tmp_path / "vllm.log")
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                str((each / "fd" / "1").readlink()) == log
                and b"keeper" not in (each / "cmdline").read_bytes()
            ):
                found.append(int(each.name))
    return found
