"""A run killed at any moment goes on, and ends as if nothing had happened."""

import json
import signal
import subprocess
import time
from random import Random

import pytest

from command import APPRENTICE, apprentice, environment

EPISODES = 40
LONGEST_S = 0.5
"""From the first step of a sitting to its kill: ten of them are shorter than the whole run."""


def _killed_while_playing(args, home, rng):
    """Start the command, kill it at a random moment of play, and return whether it had to be."""
    began = time.time()
    process = subprocess.Popen(
        [APPRENTICE, *args], cwd=home, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not _saved_since(began, home):
        time.sleep(0.01)
    time.sleep(rng.uniform(0, LONGEST_S))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _saved_since(moment, home):
    saved = home.glob(".apprentice/*-*.sqlite-wal")  # the checkpoints of a run, named after it
    return any(file.stat().st_mtime > moment for file in saved)


@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_lose_no_episode_and_repeat_none(tmp_path, kills):
    rng = Random(4)
    args = ["run", "--episodes", str(EPISODES), "--policy", "random", "--width", "2"]
    args += ["--steps", "100"]  # long enough that ten sittings do not finish it
    for _ in range(kills):
        killed = _killed_while_playing(args, tmp_path, rng)
        assert killed, "the run was over before its last kill: it measures nothing"
        args = ["run", "--resume"]
    done = apprentice(*args, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = apprentice("episodes", "list", "--limit", 100, "--json", cwd=tmp_path)
    rows = json.loads(listed.stdout)
    assert len({row["id"] for row in rows}) == len(rows) == EPISODES
    assert len({row["run"] for row in rows}) == 1
    assert all(row["ending"] != "broken" for row in rows)
    findings = json.loads(apprentice("doctor", "--policy", "random", "--json", cwd=tmp_path).stdout)
    assert {each["topic"]: each["state"] for each in findings}["store"] == "good"
    assert not list(tmp_path.glob(".apprentice/*-*"))  # no lock, no checkpoint is left behind
