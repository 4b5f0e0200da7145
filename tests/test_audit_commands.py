"""`apprentice audit calibration` and `diversity` on stored episodes."""

import json
from math import exp, log

import numpy as np
import pytest

from apprentice.audits.calibration import CALIBRATION, of_tokens
from apprentice.audits.calibration import Options as Confidences
from apprentice.audits.conduct import judging
from apprentice.audits.diversity import DIVERSITY, compare, range_of
from apprentice.audits.diversity import Options as Ranges
from apprentice.commands.audit import StoppedAuditError, Ways, audit
from apprentice.findings.place import newest_first
from apprentice.findings.sample import TooFewError, Wanted
from auditing import a_config, attempt, stored, thinking
from distill.audit.diversity import pass_at_k
from environments.episode import Split
from environments.household.household import Household

WAYS = Ways(command="apprentice audit ...", as_json=True)


def made(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def knowing(question):
    solved = "did: take" in question or "did: go to" in question
    if "percent" in question:
        return "90" if solved else "10"
    return "yes" if solved else "no"


def test_three_confidences_stand_side_by_side_with_what_chance_gives(tmp_path, capsys):
    with thinking(knowing) as server:
        config = a_config(tmp_path, server.url)
        episodes = stored(config, tasks=12, attempts=8)
        asked = Confidences(wanted=Wanted(tasks=12, attempts=8), judge="openai:judge")
        audit(CALIBRATION, config, asked, Ways(command="", dry_run=True, as_json=True))
        announced = made(capsys)
        audit(CALIBRATION, config, asked, WAYS)
    told = made(capsys)
    rows = told["figures"]["rows"]
    assert list(rows)[::2] == ["token probability", "post-completion", "verbalized"]
    words = rows["verbalized"]
    assert (words["auroc"], words["distinct"]) == (1.0, 2)
    assert words["brier"] == pytest.approx(0.01)
    assert words["ece"] == pytest.approx(0.1)
    assert 0.3 < rows["verbalized, endings permuted"]["auroc"] < 0.7
    tokens = rows["token probability"]
    assert tokens["count"] == len(episodes)
    assert tokens["confidence"] == pytest.approx(np.mean([of_tokens(each) for each in episodes]))
    assert len(server.requests) == announced["cost"]["calls"] == 2 * 12 * 8
    (place,) = newest_first(tmp_path)
    page = (place.folder / "report.html").read_text()
    assert "Reliability" in page
    assert "<svg" in page


def test_nobody_need_be_asked_for_what_is_recorded(tmp_path, capsys):
    config = a_config(tmp_path)
    stored(config, tasks=4, attempts=4, rate=0.0)
    asked = Confidences(wanted=Wanted(tasks=4, attempts=4), judge="off")
    audit(CALIBRATION, config, asked, WAYS)
    told = made(capsys)
    assert list(told["figures"]["rows"])[::2] == ["token probability"]
    assert told["cost"]["calls"] == 0
    assert told["figures"]["rows"]["token probability"]["auroc"] is None
    assert "none of 16 attempts were solved" in told["verdict"][0]


def test_the_confidence_of_tokens_is_the_geometric_mean_over_actions():
    world = Household.generated(train=6)
    episode = attempt(world, world.tasks(Split.TRAIN)[0], 0, True, "p")
    mean = np.mean([step.completion.logprobs[0] for step in episode.steps])
    assert log(of_tokens(episode)) == pytest.approx(mean)
    assert 0 < of_tokens(episode) < exp(0)


def test_a_judge_elsewhere_votes_warm_and_one_here_tells_its_own_chance(tmp_path):
    config = a_config(tmp_path)
    assert judging(config, "openai:m").policy.temperature == config.critic.temperature > 0
    assert judging(config, "local:m@base").policy.temperature == 1.0


def test_two_policies_are_compared_at_the_same_tasks(tmp_path, capsys):
    config = a_config(tmp_path)
    stored(config, tasks=10, attempts=8, split=Split.DEV, rate=0.6)
    stored(config, tasks=10, attempts=8, split=Split.DEV, rate=0.2, policy="openai:base")
    wanted = Wanted(split=Split.DEV, tasks=10, attempts=8)
    asked = Ranges(wanted=wanted, base="openai:base")
    audit(DIVERSITY, config, asked, Ways(command="", dry_run=True, as_json=True))
    assert made(capsys)["cost"]["episodes"] == 0
    audit(DIVERSITY, config, asked, WAYS)
    told = made(capsys)
    figures = told["figures"]
    assert [each["k"] for each in figures["curve"]] == [1, 2, 4, 8]
    first = figures["curve"][0]
    assert first["trained"] > first["base"]
    assert first["gain_interval"]["low"] > 0
    assert not figures["lost"]
    assert told["models"] == {"policy": "random", "base": "openai:base", "judge": ""}
    assert {each["policy"] for each in figures["ranges"]} == {"random", "openai:base"}
    assert "surely ahead" not in " ".join(told["verdict"])


def test_the_curve_is_that_of_the_counts_and_the_range_that_of_the_actions():
    world = Household.generated(train=12)
    tasks = world.tasks(Split.TRAIN)[:3]
    groups = [[attempt(world, task, n, n < 2, "p") for n in range(4)] for task in tasks]
    found = compare(groups, groups, np.random.default_rng(0))
    expected = [float(pass_at_k(4, [2], k)[0]) for k in (1, 2, 4)]
    assert [at.base for at in found.curve] == pytest.approx(expected)
    assert all(at.gain == 0 for at in found.curve)
    spread = range_of(groups)
    assert spread.sequences == 1.0
    assert spread.sequence_entropy == pytest.approx(log(4))
    twice = [[group[0]] * 4 for group in groups]
    assert range_of(twice).sequences == 0.25
    assert range_of(twice).sequence_entropy == 0.0


def test_without_common_tasks_nothing_is_compared(tmp_path):
    config = a_config(tmp_path)
    stored(config, tasks=3, attempts=2, split=Split.DEV)
    asked = Ranges(wanted=Wanted(split=Split.DEV, tasks=3, attempts=2, run="nope"))
    with pytest.raises(StoppedAuditError, match="0 tasks have enough attempts"):
        audit(DIVERSITY, config, asked, WAYS)
    assert issubclass(TooFewError, LookupError)
