"""Two processes train one student, as one process would have."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from command import several
from team_worker import learn

HERE = Path(__file__).parent


def two(folder: Path, killed: int = 0) -> None:
    """Train with two processes on this machine, which talk over gloo."""
    both = [
        subprocess.Popen(
            [sys.executable, HERE / "team_worker.py", folder, str(killed)],
            cwd=HERE.parent, env=env,
        )
        for env in several(2, PYTHONPATH=f"{HERE}:{HERE.parent}")
    ]  # fmt: skip
    assert [each.wait(timeout=300) for each in both] == [0, 0]


def apart(ours, theirs) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    training, done, losses = learn(tmp_path_factory.mktemp("alone"))
    return training.student.copy(), done, losses


def test_two_processes_learn_what_one_would_have(tmp_path, alone):
    weights, done, losses = alone
    two(tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["losses"] == pytest.approx(losses, abs=1e-4)
    assert told["tokens"] == done.tokens
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert apart(first, second) == 0.0
    assert apart(first, weights) < 1e-4


def test_what_two_began_one_ends(tmp_path, alone):
    weights, _, losses = alone
    two(tmp_path, killed=3)
    training, done, rest = learn(tmp_path)
    assert done.resumed_at == 2
    assert rest == pytest.approx(losses[2:], abs=1e-4)
    assert apart(training.student.copy(), weights) < 1e-4
