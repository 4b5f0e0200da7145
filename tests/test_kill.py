"""A run killed at any moment goes on, and ends as if nothing had happened."""

import json
import signal
import subprocess
import time
from random import Random

from command import APPRENTICE, apprentice, environment

EPISODES = 40
KILLS = 10


def _killed(args, cwd, after_s):
    process = subprocess.Popen(
        [APPRENTICE, *args], cwd=cwd, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_ten_kills_lose_no_episode_and_repeat_none(tmp_path):
    rng = Random(4)
    begin = ["run", "--episodes", str(EPISODES), "--policy", "random", "--width", "2"]
    resume = ["run", "--resume"]
    kills, args = 0, begin
    while kills < KILLS:
        ended = _killed(args, tmp_path, rng.uniform(1.5, 2.5))
        assert ended, "the run was over before its tenth kill: it measures nothing"
        kills += 1
        begun = json.loads(apprentice("episodes", "list", "--json", cwd=tmp_path).stdout)
        args = resume if begun else args
    done = apprentice(*resume, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(apprentice("episodes", "list", "--limit", 100, "--json", cwd=tmp_path).stdout)
    assert len({row["id"] for row in rows}) == len(rows) == EPISODES
    assert all(row["ending"] != "broken" for row in rows)
    findings = json.loads(apprentice("doctor", "--policy", "random", "--json", cwd=tmp_path).stdout)
    assert {f["topic"]: f["state"] for f in findings}["store"] == "good"
    assert not list(tmp_path.glob(".apprentice/*.lock"))
