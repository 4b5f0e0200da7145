"""`apprentice distill` and `apprentice adapters`, as a user and a scheduler meet them."""

import json
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gguf import GGUFReader
from safetensors.torch import load_file

from apprentice.commands.adapters import export
from apprentice.commands.distill import Schedule, StoppedError, scheduled
from apprentice.commands.run import begin
from apprentice.loop.jobs import ScheduleError, alone, cron, every
from command import APPRENTICE, environment, one_line, several
from distilling import ask
from environments.episode import Split
from tiny_learner import importing, install_workshop, small_config, written_settings

HERE = Path(__file__).parent
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SMALL = {"demonstrations": 4, "passes": 1, "rate": 1e-3, "every": 1, "exam": False, "minutes": 5}


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory):
    with importing(install_workshop(tmp_path_factory.mktemp("site"))) as folder:
        yield folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory, model):
    """Return a home in which a tiny model tried each of nine tasks eight times."""
    home = tmp_path_factory.mktemp("lived") / ".apprentice"
    config = small_config(home, model, policy={"temperature": 4.0, "use": f"local:{model}"})
    begin(config, Split.TRAIN, 72, as_json=True)
    return home


@pytest.fixture
def place(tmp_path, lived, model):
    """Return a directory to call the command in, with a home and settings."""
    shutil.copytree(lived, tmp_path / ".apprentice")
    return settings_file(tmp_path, model)


def told(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def distilled(tmp_path_factory, lived, model):
    """Return a directory in which one job was done, and what it printed."""
    place = tmp_path_factory.mktemp("distilled")
    shutil.copytree(lived, place / ".apprentice")
    settings_file(place, model)
    return place, told(ask(place, "distill", "--once", "--json"))


def settings_file(place, model):
    file = written_settings(place / "apprentice.toml", model, 0)
    lines = file.read_text().splitlines()
    at = lines.index("[distill]")
    end = next(i for i in range(at + 1, len(lines) + 1) if i == len(lines) or lines[i][0] == "[")
    small = [f"{name} = {json.dumps(value)}" for name, value in SMALL.items()]
    file.write_text("\n".join([*lines[: at + 1], *small, *lines[end:]]) + "\n")
    return place


def test_a_job_reports_what_it_tried_and_keeps_a_candidate(distilled):
    place, printed = distilled
    report = printed["report"]
    assert (report["name"], report["kept"], report["adopted"]) == ("distilled-1", True, None)
    assert report["attempts"] > 0
    beside = place / ".apprentice" / "adapters" / "distilled-1.report.json"
    assert json.loads(beside.read_text()) == report
    listed = told(ask(place, "adapters", "list", "--json"))
    assert [(each["name"], each["acts"]) for each in listed] == [("distilled-1", False)]
    assert list((place / ".apprentice" / "tensorboard" / "distilled-1").glob("events.*"))


def test_nothing_new_is_one_quiet_line_and_no_failure(distilled):
    place, _ = distilled
    done = ask(place, "distill", "--once")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing worth learning (")
    assert len(done.stdout.splitlines()) == 1


def test_a_dry_run_tells_and_does_nothing(place):
    said = ask(place, "distill", "--dry-run").stdout
    assert "distilled-1 would be made from" in said
    assert "tokens, about" in said
    coming = told(ask(place, "distill", "--dry-run", "--json"))
    assert coming["tokens"] > 0
    assert len(coming["order"]["attempts"]) > 0
    assert not (place / ".apprentice" / "adapters").exists()


def test_a_second_job_says_who_is_at_it(place):
    with alone(place / ".apprentice" / "distill", NOON):
        done = ask(place, "distill", "--once")
    assert done.returncode == 75
    assert "distillation is under way in process" in one_line(done)
    assert ask(place, "distill", "--dry-run").returncode == 0


def test_a_job_that_is_killed_again_and_again_ends_as_one_that_was_not(place, distilled, site):
    whole, printed = distilled
    killed = 0
    for _ in range(2):
        process = subprocess.Popen(
            [APPRENTICE, "distill", "--once"], cwd=place,
            env=environment(PYTHONPATH=f"{site}:{HERE}"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and not _checkpoint(place, after=killed):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    done = told(ask(place, "distill", "--once", "--json"))
    assert _apart(place, whole) <= 1e-6
    if done["report"]:
        assert done["report"]["tokens"] == printed["report"]["tokens"]


def _apart(*places):
    ours, theirs = (
        load_file(place / ".apprentice/adapters/distilled-1/model.safetensors") for place in places
    )
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs)


def _checkpoint(place, after):
    found = place.glob(f".apprentice/distill/distilled-1/checkpoints/step-{after + 1:08d}")
    return any(found) or any(place.glob(".apprentice/adapters/distilled-1.report.json"))


def test_the_distilled_adapter_acts_when_it_is_promoted_and_no_more_when_it_is_not(
    distilled, tmp_path
):
    place = shutil.copytree(distilled[0], tmp_path / "own")
    assert "was never examined" in one_line(ask(place, "adapters", "promote", "distilled-1"))
    promoted = told(ask(place, "adapters", "promote", "distilled-1", "--unproven", "--json"))
    assert promoted == {"acts": "distilled-1"}
    ran = told(ask(place, "run", "--episodes", 2, "--json"))
    assert ran["policy"].endswith("@distilled-1")
    rolled = told(ask(place, "adapters", "rollback", "--json"))
    assert rolled == {"acts": None}
    resumed = told(ask(place, "run", "--resume", ran["run"], "--json"))
    assert resumed["policy"].endswith("@distilled-1")  # it ends as it began
    assert "no adapter acts" in one_line(ask(place, "adapters", "rollback"))


def test_an_adapter_tells_where_it_is_from_and_what_it_learned(distilled):
    place, printed = distilled
    shown = ask(place, "adapters", "show", "distilled-1").stdout
    assert "reward+critique" in shown
    assert "trial: none yet" in shown
    whole = told(ask(place, "adapters", "show", "distilled-1", "--json"))
    assert whole["report"] == printed["report"]
    blamed = told(ask(place, "adapters", "blame", "distilled-1", "--json"))
    assert len(blamed["episodes"]) == printed["report"]["attempts"]
    assert not any(each["forgotten"] for each in blamed["episodes"])
    first = blamed["episodes"][0]["id"]
    ask(place, "episodes", "forget", first, "--why", "test", "--yes")
    after = told(ask(place, "adapters", "blame", "distilled-1", "--json"))
    assert [each["id"] for each in after["episodes"] if each["forgotten"]] == [first]
    assert "forgotten" in ask(place, "adapters", "blame", "distilled-1").stdout
    assert "known: distilled-1" in one_line(ask(place, "adapters", "show", "ghost"))


def test_an_export_acts_as_the_adapter_did_and_is_a_gguf_too(distilled, tmp_path):
    place, _ = distilled
    done = ask(place, "adapters", "export", "distilled-1", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "whole" / "distilled-1.gguf"
    assert done.stdout.splitlines()[1] == f"and to {file}"
    named = GGUFReader(file).fields["general.name"].contents()
    assert named == "distilled-1"
    ran = told(ask(place, "run", "--episodes", 1, "--policy", f"local:{tmp_path / 'whole'}",
                   "--home", tmp_path / "other", "--json"))  # fmt: skip
    assert ran["episodes"] == 1
    again = ask(place, "adapters", "export", "distilled-1", tmp_path / "whole")
    assert "is not empty" in one_line(again)


def test_an_export_that_can_be_no_gguf_says_why_and_what_would_help(
    distilled, tmp_path, model, capsys
):
    shutil.copytree(distilled[0] / ".apprentice", tmp_path / "home")
    file = tmp_path / "home" / "adapters" / "distilled-1" / "tokenizer.json"
    words = json.loads(file.read_text()) | {"pre_tokenizer": {"type": "Whitespace"}}
    file.write_text(json.dumps(words))
    config = small_config(tmp_path / "home", model)
    export(config, "distilled-1", tmp_path / "whole", as_json=False)
    second = capsys.readouterr().out.splitlines()[1]
    assert "its tokenizer is BPE after Whitespace; put llama.cpp's convert_hf" in second


def test_a_converter_on_the_path_is_used(distilled, tmp_path, monkeypatch):
    place, _ = distilled
    converter = tmp_path / "bin" / "convert_hf_to_gguf.py"
    converter.parent.mkdir()
    converter.write_text(
        "import sys, pathlib\n"
        "assert (pathlib.Path(sys.argv[1]) / 'model.safetensors').exists()\n"
        "pathlib.Path(sys.argv[3]).write_text('GGUF')\n"
    )
    converter.chmod(0o755)
    monkeypatch.setenv("PATH", f"{converter.parent}:{environment()['PATH']}")
    done = told(ask(place, "adapters", "export", "distilled-1", tmp_path / "w", "--json",
                    ))  # fmt: skip
    assert Path(done["gguf"]).read_text() == "GGUF"


def test_an_exam_decides_whether_the_candidate_acts(place):
    done = told(ask(place, "distill", "--once", "--exam", "--json"))
    report = done["report"]
    assert report["verdict"]
    assert report["adopted"] in (None, False)  # one step on a random model wins no exam
    listed = told(ask(place, "adapters", "list", "--json"))
    assert [each["gate"] for each in listed] == [
        "undecided" if report["adopted"] is None else "reject"
    ]
    assert not listed[0]["acts"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("distill", "--every", "soon"), "such as 30m, 6h or 1d"),
        (("distill", "--cron", "at dawn"), "'at dawn'"),
        (("distill", "--preset", "magic"), "'distill.preset'"),
        (("distill", "--policy", "local@ghost"), "no adapter 'ghost'"),
    ],
)
def test_a_slip_is_answered_in_one_line(place, args, says):
    assert says in one_line(ask(place, *args))


def test_two_times_at_once_are_refused(place):
    done = ask(place, "distill", "--once", "--every", "6h")
    assert done.returncode == 2
    assert "choose one of" in done.stderr


def test_intervals_and_cron_expressions_give_the_next_time():
    assert every("90m")(NOON) == NOON + timedelta(minutes=90)
    assert every("1d")(NOON) == NOON + timedelta(days=1)
    local = NOON.astimezone().replace(hour=12, minute=0)
    assert cron("30 3 * * *")(local) == local.replace(hour=3, minute=30) + timedelta(days=1)
    for slip in ("6", "h", "0h", "-1h", ""):
        with pytest.raises(ScheduleError):
            every(slip)


def test_a_schedule_looks_again_and_again_and_outlives_what_someone_can_mend(place, model, capsys):
    config = small_config(place / ".apprentice", model, distill=SMALL)
    clock = [NOON]
    slept: list[float] = []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += timedelta(seconds=seconds)
        if len(slept) > 3:
            raise KeyboardInterrupt

    with (
        alone(place / ".apprentice" / "distill", NOON),
        pytest.raises(StoppedError, match="goes on with"),
    ):
        scheduled(
            config, Schedule(every("2m"), at_once=True), as_json=True,
            clock=lambda: clock[0], sleep=sleep,
        )  # fmt: skip
    said = capsys.readouterr().err
    assert said.count("distillation is under way") == 2  # now, and after two minutes
    assert slept[:2] == [60.0, 60.0]


def test_a_candidate_that_nobody_examined_is_examined_before_anything_new(place):
    told(ask(place, "distill", "--once", "--json"))
    done = told(ask(place, "distill", "--once", "--exam", "--json"))
    assert done["resumed"]
    assert (done["report"]["name"], bool(done["report"]["verdict"])) == ("distilled-1", True)
    again = told(ask(place, "distill", "--once", "--exam", "--json"))
    assert again["report"] is None


def test_an_exam_ended_by_its_budget_goes_on_in_the_next_job(place, monkeypatch):
    monkeypatch.setenv("APPRENTICE_GATE__BUDGET", "1")
    verdicts = []
    for _ in range(2):
        done = told(ask(place, "distill", "--once", "--exam", "--json"))
        assert done["report"]["name"] == "distilled-1"
        verdicts.append(done["report"]["verdict"])
    assert verdicts[0].startswith("undecided: about ")
    assert ["in 1 pairs" in verdicts[0], "in 2 pairs" in verdicts[1]] == [True, True]


@pytest.mark.slow
def test_a_job_of_two_processes_learns_what_one_does_and_reports_once(place, distilled, site):
    whole, printed = distilled
    both = [
        subprocess.Popen(
            [APPRENTICE, "distill", "--once", "--json"], cwd=place, env=env,
            stdout=subprocess.PIPE, text=True,
        )
        for env in several(2, PYTHONPATH=f"{site}:{HERE}")
    ]  # fmt: skip
    said = [each.communicate(timeout=300)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert said[1] == ""
    report = json.loads(said[0])["report"]
    assert report["tokens"] == printed["report"]["tokens"]
    assert _apart(place, whole) < 1e-4
