"""`apprentice audit spurious`: twins are trained by the real trainer, here on a tiny model."""

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from apprentice.audits.lesson import Lesson
from apprentice.audits.spurious import (
    NONE,
    PROMPT,
    RUNS,
    SPURIOUS,
    Options,
    Run,
    findings,
    read_runs,
)
from apprentice.commands.audit import StoppedAuditError, Ways, audit
from apprentice.findings.place import AuditError, newest_first
from auditing import a_config
from distill.audit.spurious import Reading, Twin
from distill.audit.twins import Arm, arms, repaid
from learning import an_episode
from tiny_learner import install_workshop, small_config

TINY = Options(
    lesson=Lesson(rounds=1, tasks=3, attempts=3, held_out=3, tries=2, demonstrations=2),
    twins=(Twin.TRUE, Twin.RANDOM),
    unclipped=False,
)
WAYS = Ways(command="apprentice audit spurious", as_json=True)


@pytest.fixture
def config(tmp_path, model, monkeypatch):
    monkeypatch.syspath_prepend(str(install_workshop(tmp_path / "installed")))
    policy = {"use": f"local:{model}", "temperature": 4.0, "dtype": "float32", "width": 8}
    return small_config(tmp_path / "home", model, policy=policy, distill={"length": 2048})


def made(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_each_twin_begins_alike_and_is_trained_as_it_is_paid(config, capsys):
    audit(SPURIOUS, config, TINY, Ways(command="", dry_run=True, as_json=True))
    announced = made(capsys)["cost"]
    audit(SPURIOUS, config, TINY, WAYS)
    told = made(capsys)
    trained = [arm.name for arm in arms(TINY.twins, unclipped_too=False)]
    assert list(told["figures"]["solved"]) == [NONE, PROMPT, *trained]
    assert trained == ["true, clipped", "random, clipped", "true, clipped, one task"]
    assert all(0 <= share <= 1 for share in told["figures"]["solved"].values())
    assert told["cost"]["episodes"] == announced["episodes"] == 2 * 9 + 5 * 6
    assert 0 < told["cost"]["updates"] <= announced["updates"] == 3 * 9 + 2 * 2
    assert told["figures"]["gains"][NONE]["gain"] == 0.0
    (place,) = newest_first(config.home)
    assert "What each run gained" in (place.folder / "report.html").read_text()


def test_runs_that_are_done_are_not_made_again_and_the_others_come_out_the_same(config, capsys):
    audit(SPURIOUS, config, TINY, WAYS)
    before = made(capsys)
    (place,) = newest_first(config.home)
    file = place.folder / RUNS
    lines = file.read_text().splitlines(keepends=True)
    known = '{"name": "no update", "seed": 0, "solved": [0.25, 0.5, 0.75]}\n'
    file.write_text("".join([known, *lines[1:4], lines[4][:20]]))
    (place.folder / "report.json").unlink()
    audit(SPURIOUS, config, TINY, Ways(command="", resume=True, as_json=True))
    told = made(capsys)
    tasks, again = told["figures"]["per_task"], before["figures"]["per_task"]
    assert tasks.pop(NONE) == [0.25, 0.5, 0.75], "what is in the file is believed"
    again.pop(NONE)
    assert tasks == again
    assert told["cost"]["episodes"] == 9 + 6, "only the run that was cut off"
    assert [run.name for run in read_runs(file)] == [json.loads(line)["name"] for line in lines]


def test_only_what_runs_here_can_be_trained(tmp_path):
    with pytest.raises(StoppedAuditError, match="cannot be trained here"):
        audit(SPURIOUS, a_config(tmp_path), TINY, WAYS)
    assert issubclass(AuditError, LookupError)


def runs_of(**shares):
    """Runs on 60 held-out tasks, with these shares solved."""
    rng = Random(0)
    return [
        Run(name, 0, tuple(float(rng.random() < share) for _ in range(60)))
        for name, share in shares.items()
    ]


@pytest.mark.parametrize(
    ("random", "reading"), [(0.1, Reading.ACCEPT), (0.38, Reading.WARN), (0.9, Reading.REJECT)]
)
def test_the_score_reads_how_much_of_the_gain_noise_had(random, reading):
    shares = {
        NONE: 0.1, PROMPT: 0.1, "true, clipped": 0.8, "random, clipped": random,
        "true, clipped, one task": 0.5,
    }  # fmt: skip
    found = findings(runs_of(**shares), np.random.default_rng(0), policy="tiny", options=TINY)
    score = found.figures["scores"]["random, clipped"]
    assert score.reading is reading
    assert score.interval.low < score.score < score.interval.high
    assert any(f"random, clipped: S = {score.score:.2f}" in said for said in found.verdict)
    assert found.figures["scores"]["true, clipped, one task"].score == pytest.approx(
        found.figures["gains"]["true, clipped, one task"][
            "gain"
        ] / found.figures["gains"]["true, clipped"]["gain"]
    )  # fmt: skip


def test_without_a_gain_there_is_nothing_to_explain():
    names = (NONE, PROMPT, "true, clipped", "random, clipped", "true, clipped, one task")
    found = findings(
        [Run(name, 0, (0.0,) * 20) for name in names],
        np.random.default_rng(0),
        policy="tiny",
        options=TINY,
    )
    assert "nothing for a meaningless reward to explain" in found.verdict[1]
    assert found.figures["scores"]["random, clipped"].reading is Reading.NO_GAIN


def test_the_true_run_comes_first_with_and_without_clipping_and_one_task_last():
    every = arms(tuple(Twin))
    assert len(every) == 2 * len(Twin) + 1
    assert every[0] == Arm() == every[1].reference
    assert every[-1] == Arm(one_task=True)
    assert every[len(Twin)].reference == every[len(Twin)] == Arm(clips=False)
    assert len({arm.name for arm in every}) == len(every)


def test_attempts_are_paid_as_the_twin_pays_with_the_last_step():
    win, loss = an_episode("go left", "take gold"), an_episode("go left", "wait")
    odd = replace(loss, steps=(replace(loss.steps[0], action=None), loss.steps[1]))
    groups = [[win, loss], [odd, win]]
    rng = np.random.default_rng(0)
    inverted = repaid(groups, Twin.INVERTED, rng)
    assert [[each.reward for each in group] for group in inverted] == [[0.0, 1.0], [1.0, 0.0]]
    formed = repaid(groups, Twin.FORMAT, rng)
    assert [[each.reward for each in group] for group in formed] == [[1.0, 1.0], [0.0, 1.0]]
    assert formed[0][0].steps[0].reward == 0.0
    assert repaid(groups, Twin.TRUE, rng)[0][0] == win
