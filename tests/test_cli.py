import json
import resource
import signal
import subprocess
import sys

import pytest

from command import APPRENTICE, apprentice, environment, one_line

QUICK = ("run", "--policy", "random", "--episodes", 6, "--seed", 3)


@pytest.fixture(scope="module")
def practised(tmp_path_factory):
    """Return a directory in which a run of six random episodes was made, and what it printed."""
    place = tmp_path_factory.mktemp("practised")
    finished = apprentice(*QUICK, "--json", cwd=place)
    assert finished.returncode == 0, finished.stderr
    return place, json.loads(finished.stdout)


def test_help_answers_before_one_wonders(tmp_path):
    # Processor time: what it takes on a quiet machine, however busy this one is.
    assert min(_processor_s("--help", cwd=tmp_path) for _ in range(3)) < 0.4


def _processor_s(*args, cwd):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert apprentice(*args, cwd=cwd).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['apprentice', '--help']\n"
        "from apprentice.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'langgraph', 'openai', 'sqlalchemy', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_says_what_it_amounts_to(practised):
    _, printed = practised
    assert printed["episodes"] == 6
    assert printed["policy"] == "random"
    assert sum(printed["endings"].values()) == 6
    assert printed["low"] <= printed["share"] <= printed["high"]


def test_the_same_seed_makes_the_same_episodes_again(practised, tmp_path):
    place, _ = practised
    apprentice(*QUICK, "--width", 1, cwd=tmp_path)
    assert _lived(place) == _lived(tmp_path)


def _lived(place):
    lines = apprentice("episodes", "export", cwd=place).stdout.splitlines()
    episodes = [json.loads(line) for line in lines]
    assert len(episodes) == 6
    return sorted((e["task"]["id"], [s["action"] for s in e["steps"]]) for e in episodes)


def test_the_list_and_the_transcript_show_what_happened(practised):
    place, printed = practised
    rows = json.loads(apprentice("episodes", "list", "--json", cwd=place).stdout)
    assert {row["run"] for row in rows} == {printed["run"]}
    shown = apprentice("episodes", "show", rows[0]["id"][:8], cwd=place).stdout
    whole = json.loads(apprentice("episodes", "show", rows[0]["id"], "--json", cwd=place).stdout)
    assert all(f"> {step['action']}" in shown for step in whole["steps"])
    assert rows[0]["goal"] in shown


def test_a_replay_sees_the_same_and_says_so(practised):
    place, _ = practised
    rows = json.loads(apprentice("episodes", "list", "--json", cwd=place).stdout)
    for row in rows:
        done = apprentice("episodes", "replay", row["id"], "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["differs_at"] is None


def test_an_export_to_a_file_holds_every_episode(practised, tmp_path):
    place, _ = practised
    file = tmp_path / "episodes.jsonl"
    done = apprentice("episodes", "export", "--to", file, "--json", cwd=place)
    assert json.loads(done.stdout)["episodes"] == len(file.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("run", "--env", "houshold"), "no environment 'houshold'; known: household"),
        (
            ("run", "--policy", "lokal"),
            "no policy 'lokal'; known: local[:MODEL][@ADAPTER], vllm[:MODEL][@ADAPTER], ",
        ),
        (("run", "--policy", "local:no-such-model"), "no-such-model"),
        (("run", "--games", "nowhere.jsonl"), "nowhere.jsonl"),
        (("run", "--resume"), "no unfinished run"),
        (("run", "--resume", "2020"), "2020"),
        (("episodes", "show", "beef"), "beef"),
        (("run", "--config", "none.toml"), "no settings file 'none.toml'"),
    ],
)
def test_a_slip_is_answered_in_one_line(args, says, tmp_path):
    finished = apprentice(*args, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert says in one_line(finished)


def test_an_unknown_flag_and_a_bad_value_name_themselves(tmp_path):
    assert "--epsiodes" in apprentice("run", "--epsiodes", 3, cwd=tmp_path).stderr
    assert "'--episodes'" in apprentice("run", "--episodes", "many", cwd=tmp_path).stderr


def test_interrupting_keeps_what_is_finished_and_tells_how_to_go_on(tmp_path):
    command = [APPRENTICE, "run", "--policy", "random", "--episodes", "400", "--width", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    )
    while '"' not in apprentice("episodes", "list", "--json", cwd=tmp_path).stdout:
        assert process.poll() is None, "the run ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert "go on with: apprentice run --resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    rows = json.loads(apprentice("episodes", "list", "--limit", 500, "--json", cwd=tmp_path).stdout)
    assert 0 < len(rows) < 400
    assert f"interrupted; {len(rows)} of 400 episodes are kept" in said


def test_a_pipe_that_closes_early_is_no_error(practised):
    place, _ = practised
    command = f"{APPRENTICE} episodes export | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=place, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_doctor_speaks_of_every_part(tmp_path):
    findings = json.loads(apprentice("doctor", "--json", cwd=tmp_path).stdout)
    topics = {"python", "libraries", "processor", "disk", "store", "environment", "model", "vllm"}
    assert topics <= {finding["topic"] for finding in findings}
    assert all(finding["words"] for finding in findings)
