"""What a user gets wrong, or the machine runs out of: one line, and nothing finished is lost."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from command import APPRENTICE, apprentice, environment, one_line
from endpoint import breaks_off, hangs, refuses, says, serving

PATIENT = {"APPRENTICE_ENDPOINT__RETRIES": "1", "APPRENTICE_ENDPOINT__TIMEOUT_S": "1"}
ASK = ("run", "--policy", "openai:small", "--episodes", 2, "--steps", 2, "--width", 1)


def _asking(*behaviors, cwd):
    with serving(*behaviors) as server:
        keys = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-secret", **PATIENT}
        return apprentice(*ASK, "--json", cwd=cwd, **keys)


@pytest.mark.parametrize(
    ("behavior", "says_this"),
    [
        (refuses(401, "bad key"), "OPENAI_API_KEY"),
        (refuses(404, "no such model"), "small"),
        (refuses(429, "slow down", Retry_After="0"), "no room in 2 tries (slow down)"),
        (refuses(500, "oh dear"), "failed in 2 tries (oh dear)"),
        (breaks_off, "127.0.0.1"),
        (hangs, "1 s"),
    ],
)
def test_an_endpoint_that_misbehaves_stops_the_run_in_one_line(behavior, says_this, tmp_path):
    finished = _asking(behavior, cwd=tmp_path)
    line = one_line(finished)
    assert says_this in line
    assert "go on with: apprentice run --resume" in line
    assert "sk-secret" not in line
    assert finished.returncode == 3


def test_an_endpoint_that_is_not_there_is_named(tmp_path):
    finished = apprentice(*ASK, cwd=tmp_path, OPENAI_BASE_URL="http://127.0.0.1:9/v1", **PATIENT)
    assert "http://127.0.0.1:9/v1" in one_line(finished)


def test_a_policy_that_answers_nonsense_for_ever_ends_truncated(tmp_path):
    finished = _asking(says("I would rather sing."), cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["endings"] == {"truncated": 2}


def test_what_was_finished_before_the_endpoint_broke_is_kept_and_the_rest_resumes(tmp_path):
    stopped = _asking(
        says("look"), says("look"), says("look"), refuses(401, "expired"), cwd=tmp_path
    )
    assert "1 of 2 episodes are kept" in one_line(stopped)
    with serving(says("look")) as server:
        again = apprentice(
            "run", "--resume", "--json", cwd=tmp_path,
            OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-new",
        )  # fmt: skip
        assert len(server.requests) == 1  # the second episode had only its last step to take
    assert json.loads(again.stdout)["episodes"] == 2, again.stderr


def test_a_games_file_cut_in_half_is_named(tmp_path):
    whole = tmp_path / "whole.jsonl"
    whole.write_text(json.dumps({"path": "json_2.1.1/train/a-b-c-d-1/trial/game.tw-pddl"}) + "\n")
    line = one_line(apprentice("run", "--games", whole, cwd=tmp_path))
    assert "whole.jsonl" in line
    cut = tmp_path / "cut.jsonl.xz"
    cut.write_bytes(b"\xfd7zXZ\x00\x00\x04\xe6")
    assert "cut.jsonl.xz" in one_line(apprentice("run", "--games", cut, cwd=tmp_path))


def _on_a_disk(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own; $0 is the disk, $1 the command."""
    isolated = ["unshare", "--map-root-user", "--mount"]
    allowed = (
        shutil.which("unshare")
        and not subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode
    )
    if not allowed:
        pytest.skip("this user may not make a mount namespace")
    return subprocess.run(
        [*isolated, "bash", "-c", script, place, APPRENTICE],
        cwd=place, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_full_disk_stops_the_run_in_one_line_and_keeps_what_is_finished(tmp_path):
    finished = _on_a_disk(
        'mount -t tmpfs -o size=6m tmpfs "$0" && cd "$0" && '
        '"$1" run --policy random --episodes 2000 --width 2 --steps 5; code=$?; '
        '"$1" episodes list --limit 5000 --json; exit $code',
        tmp_path,
    )
    line = one_line(finished)
    kept = len(json.loads(finished.stdout.splitlines()[-1]))
    assert kept > 0
    assert f"{kept} of 2000 episodes are kept" in line


def test_a_read_only_directory_is_named(tmp_path):
    finished = _on_a_disk(
        'mount -t tmpfs -o size=1m,ro tmpfs "$0" && cd "$0" && "$1" run --policy random', tmp_path
    )
    assert "--home" in one_line(finished)
