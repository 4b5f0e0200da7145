"""`apprentice audit gap` on stored episodes, with a judge behind a real socket."""

import json
import re
from xml.etree import ElementTree

import pytest

from apprentice.audits.conduct import read_options
from apprentice.audits.gap import GAP, Options
from apprentice.audits.hearing import Verifier, answers_to, verifiers_of
from apprentice.commands.audit import StoppedAuditError, Ways, audit
from apprentice.findings.place import newest_first, to_resume
from apprentice.findings.sample import Wanted, exactly, name_of
from auditing import a_config, stored, thinking
from command import apprentice, one_line
from endpoint import refuses, serving
from environments.episode import Split
from environments.errors import UnknownNameError

TASKS, ATTEMPTS = 12, 8
WAYS = Ways(command="apprentice audit gap --judge openai:judge", as_json=True)


def honest(question):
    """Judge rightly: whoever only looked around did nothing."""
    records = question.split("Attempt B:")
    good = ["did: take" in each or "did: go to" in each for each in records]
    if "Answer A or B" in question:
        return "A" if good[0] >= good[1] else "B"
    if "from 1" in question:
        return "9" if good[0] else "2"
    return "yes" if good[0] else "no"


def options(**changes):
    wanted = Wanted(tasks=TASKS, attempts=ATTEMPTS)
    return Options(**{"wanted": wanted, "judge": "openai:judge", **changes})


def made(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_an_honest_judge_has_a_surely_positive_gap_and_a_page_says_so(tmp_path, capsys):
    with thinking(honest) as server:
        config = a_config(tmp_path, server.url)
        episodes = stored(config, tasks=TASKS, attempts=ATTEMPTS)
        audit(GAP, config, options(), WAYS)
    report = made(capsys)
    verdict = report["figures"]["verdicts"]["all"]
    assert verdict["rule"] == "yes-no: best 25%"
    assert verdict["low"] > 0.2
    assert verdict["decides"]
    assert report["figures"]["anchor"] == "third-party judge"
    assert report["models"] == {"policy": "random", "judge": "openai:judge"}
    assert report["samples"]["tasks"] == TASKS
    rows = {row["rule"]: row for row in report["figures"]["rows"] if row["kind"] == "all"}
    share = sum(each.solved for each in episodes) / len(episodes)
    assert rows["yes-no: at least 0.5"]["accuracy"] == pytest.approx(share)
    gated = rows["yes-no: at least 0.5"]
    assert (gated["true_positive_rate"], gated["false_positive_rate"]) == (1.0, 0.0)
    assert rows["tournament: who is left"]["gap"] > 0.2
    assert rows["all verifiers agree"]["false_positive_rate"] == 0.0
    assert len(server.requests) == report["samples"]["answers"] == report["cost"]["calls"]


def test_it_costs_what_it_announced_and_nothing_is_asked_without_need(tmp_path, capsys):
    with thinking(honest) as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=TASKS, attempts=ATTEMPTS)
        audit(GAP, config, options(), Ways(command="", dry_run=True, as_json=True))
        announced = made(capsys)
        assert server.requests == []
        assert list(newest_first(tmp_path)) == []
        audit(GAP, config, options(bias=True), Ways(command="", dry_run=True, as_json=True))
        with_bias = made(capsys)
        audit(GAP, config, options(), WAYS)
        assert len(server.requests) == announced["cost"]["calls"]
        capsys.readouterr()
        audit(GAP, config, options(), Ways(command="", dry_run=True, as_json=True))
        timed = made(capsys)
    assert announced["cost"]["calls"] == TASKS * answers_to(tuple(Verifier), ATTEMPTS)
    assert announced["cost"]["episodes"] == 0
    assert announced["guessed"]
    assert with_bias["cost"]["calls"] == announced["cost"]["calls"] + 6 * 8 * 7
    assert not timed["guessed"]
    assert timed["seconds"] < announced["seconds"]


def test_a_judge_that_always_says_yes_has_no_gap(tmp_path, capsys):
    with thinking(lambda question: "A" if "A or B" in question else "yes") as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=TASKS, attempts=ATTEMPTS)
        audit(GAP, config, options(verifiers=(Verifier.YES_NO,)), WAYS)
    verdict = made(capsys)["figures"]["verdicts"]["all"]
    assert (verdict["gap"], verdict["low"], verdict["high"]) == (0.0, 0.0, 0.0)


def test_what_the_judge_minds_is_measured_on_request(tmp_path, capsys):
    with thinking(lambda question: "A" if "A or B" in question else "yes") as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=TASKS, attempts=4)
        wanted = Wanted(tasks=TASKS, attempts=4)
        asked = options(wanted=wanted, verifiers=(Verifier.YES_NO,), bias=True)
        audit(GAP, config, asked, WAYS)
    bias = made(capsys)["figures"]["bias"]
    assert (bias["first"], bias["agreement"], bias["cycles"]) == (1.0, 0.0, 0)
    assert (bias["tasks"], bias["triples"], bias["own"]) == (6, 6 * 4, None)


def test_an_audit_that_was_stopped_goes_on_and_asks_nothing_twice(tmp_path, capsys):
    with serving(*[refuses(500, "down")]) as broken:
        config = a_config(tmp_path, broken.url)
        stored(config, tasks=TASKS, attempts=ATTEMPTS)
        with pytest.raises(StoppedAuditError, match="--resume --id") as stopped:
            audit(GAP, config, options(), WAYS)
    assert stopped.value.code == 3
    half = TASKS * ATTEMPTS // 2
    questions = []

    def tiring(question):
        questions.append(question)
        return honest(question) if len(questions) <= half else None

    with thinking(tiring) as server:
        place = to_resume(tmp_path, "gap", None)
        assert read_options(GAP, place.begun) == options()
        with pytest.raises(StoppedAuditError):
            audit(GAP, a_config(tmp_path, server.url), options(), Ways(command="", resume=True))
        known = len(place.answers.read_text().splitlines())
        assert 0 < known <= half
    with thinking(honest) as server:
        with place.answers.open("a") as file:
            file.write('{"key": "cut off in the mid')
        again = Ways(command="", resume=True, as_json=True)
        audit(GAP, a_config(tmp_path, server.url), options(), again)
        told = made(capsys)
        answers = TASKS * answers_to(tuple(Verifier), ATTEMPTS)
        assert len(server.requests) == answers - known
    assert told["command"] == WAYS.command
    assert told["samples"]["answers"] == answers
    assert place.finished


def test_the_page_is_whole_by_itself_and_escapes_what_came_from_outside(tmp_path, capsys):
    with thinking(honest) as server:
        config = a_config(tmp_path, server.url)
        stored(config, tasks=TASKS, attempts=ATTEMPTS)
        file = tmp_path / "gap.html"
        command = "apprentice audit gap --judge '<script>alert(1)</script>'"
        audit(GAP, config, options(), Ways(command=command, html=file))
    said = capsys.readouterr().out
    assert "the gap of all tasks together is +0." in said
    words = file.read_text()
    assert "<script" not in words
    assert "&lt;script&gt;" in words
    assert not re.search(r"(src|href)\s*=|@import|url\(", words)
    assert "Content-Security-Policy" in words
    for name in ("openai:judge", "seed", "12", "answers"):
        assert name in words
    ElementTree.fromstring(re.search(r"<svg.*?</svg>", words, re.DOTALL)[0])
    (place,) = newest_first(tmp_path)
    assert (place.folder / "report.html").read_text() == words


def test_missing_attempts_are_played_and_kept(tmp_path, capsys):
    config = a_config(tmp_path, limits={"steps": 3})
    stored(config, tasks=1, attempts=2)
    wanted = Wanted(tasks=2, attempts=2)
    asked = Options(wanted=wanted, judge="random", verifiers=(Verifier.YES_NO,))
    audit(GAP, config, asked, Ways(command="", dry_run=True, as_json=True))
    assert made(capsys)["cost"]["episodes"] == 2
    audit(GAP, config, asked, WAYS)
    told = made(capsys)
    assert (told["samples"]["tasks"], told["cost"]["episodes"]) == (2, 2)
    assert told["figures"]["anchor"] == "self"
    audit(GAP, config, asked, Ways(command="", dry_run=True, as_json=True))
    assert made(capsys)["cost"]["episodes"] == 0


def test_the_command_line_reaches_it_and_tells_a_slip_in_one_line(tmp_path):
    said = apprentice("audit", "gap", "--policy", "random", "--tasks", 2, "--attempts", 2,
                      "--steps", 3, "--dry-run", "--home", tmp_path, cwd=tmp_path)  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "4 episodes to play, 24 model calls; a guess: about" in said.stdout
    slip = apprentice("audit", "gap", "--verifiers", "oracle", "--home", tmp_path, cwd=tmp_path)
    assert "no verifier 'oracle'; known: yes-no, score, tournament" in one_line(slip)
    none = apprentice("audit", "gap", "--resume", "--home", tmp_path, cwd=tmp_path)
    assert "no unfinished gap audit to resume" in one_line(none)


def test_verifiers_are_named_in_their_order():
    assert verifiers_of("score, yes-no,score") == (Verifier.SCORE, Verifier.YES_NO)
    with pytest.raises(UnknownNameError):
        verifiers_of("")


def test_a_policy_is_known_by_the_name_that_its_episodes_have(tmp_path):
    config = exactly(a_config(tmp_path, policy={"use": "local"}))
    assert config.policy.use == "local:smollm2-135m@base"
    assert name_of(config.policy.use) == "smollm2-135m"
    assert config.memory.recall == "off"
    assert Wanted().split is Split.TRAIN
