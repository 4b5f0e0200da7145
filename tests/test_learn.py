"""A whole round on a model of a few thousand weights: its record, its end, what it never saw."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from shutil import copytree, rmtree

import pytest
from safetensors.torch import load_file

from apprentice.build import make_environment, make_library
from apprentice.commands.demo import demo, written_settings
from apprentice.commands.learn import (
    begin_round,
    check,
    judged_again,
    learn,
    open_rounds,
    replay,
)
from apprentice.gate.exam import Comparison
from apprentice.gate.gate import Gated
from apprentice.gate.promises import gate_file, read_promise
from apprentice.loop.judging import decided, promote, settle, unjudged
from apprentice.loop.pool import pooled
from apprentice.loop.reports import Distilled, Examined, Record, Started, record_of, to_json
from apprentice.loop.site import Site
from apprentice.loop.stages import NotALearnerError, start
from apprentice.loop.trace import leaks
from apprentice.settings.acting import Named
from apprentice.settings.config import load
from apprentice.settings.orders import ordered, write_order
from environments.episode import Split
from examining import a_comparison, a_sheet
from memory.bank.annotations import Annotation
from memory.proof.proof import Outcome, judge
from memory.proof.sequential import Plan
from tiny_learner import importing, install_workshop, small_config

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def workshop(tmp_path_factory):
    with importing(install_workshop(tmp_path_factory.mktemp("site"))):
        yield


@pytest.fixture(scope="module")
def learned(tmp_path_factory, model):
    """Return settings under which two rounds were carried out, and their records."""
    config = small_config(tmp_path_factory.mktemp("learned"), model, seed=3)
    learn(config, 2, as_json=True)
    with open_rounds(config) as rounds:
        return config, [record_of(rounds.reports(each.id)) for each in rounds.all()]


def test_a_round_goes_through_all_its_stages_and_is_finished(learned):
    config, (first, second) = learned
    for record in (first, second):
        assert list(record.finished) == [
            "settle", "start", "recall", "practise", "absorb", "prove", "distil", "examine",
            "promote",
        ]  # fmt: skip
        assert len(record.recall.attempts) == 36 == record.practise.episodes
    with open_rounds(config) as rounds:
        assert [each.finished is not None for each in rounds.all()] == [True, True]
        assert rounds.spending().rounds == 2
        assert first.examine.level > second.examine.level  # what is tried costs
    assert not list(config.home.glob("round-*"))  # no checkpoint is left behind


def test_a_bare_model_begins_with_a_cold_start_which_the_next_round_finds(learned):
    _, (first, second) = learned
    assert first.start.incumbent.endswith("@base")
    assert first.start.cold.walkthroughs == 4
    assert second.start == first.start
    assert first.distil.report.parent == Named.parse(first.start.student).adapter


def test_a_round_learns_from_all_attempts_since_the_last_promotion(learned):
    config, (first, second) = learned
    assert first.promote.outcome is second.promote.outcome is Outcome.REJECT
    made = [{each.id for each in record.recall.attempts} for record in (first, second)]
    with make_library(config) as library:
        taught = [
            set(library.adapters.lineage(Named.parse(record.distil.candidate).adapter).episodes)
            for record in (first, second)
        ]
    assert not taught[0] & made[1]
    assert taught[1] & made[0]
    assert taught[1] & made[1]


def test_the_candidate_and_the_incumbent_play_the_same_dev_tasks_and_every_answer_is_kept(learned):
    config, (first, _) = learned
    compared = first.examine.gated.compared
    assert [each.task for each in compared.a.answers] == [each.task for each in compared.b.answers]
    with make_library(config) as library:
        for answer in (*compared.a.answers, *compared.b.answers):
            episode = library.store.get(answer.episode)
            assert episode.task.split is Split.DEV
            assert (episode.task.id, episode.solved) == (answer.task, answer.solved)


def test_a_round_says_how_memory_came_to_what_it_learned(learned):
    _, (first, second) = learned
    items = [id for ids in first.absorb.items.values() for id in ids]
    assert sum(first.absorb.deeds.values()) == len(items) > 0
    assert first.absorb.deeds["added"] > 0
    assert "added" in next(first.absorb.lines())
    assert set(second.absorb.deeds) <= {"added", "merged", "superseded"}


def test_the_audits_of_a_round_lie_beside_its_candidate(learned):
    config, records = learned
    with open_rounds(config) as rounds:
        runs = [f"{each.id}-practice" for each in rounds.all()]
    for record, run in zip(records, runs, strict=True):
        audits = config.home / "adapters" / Named.parse(record.distil.candidate).adapter / "audits"
        hacking = json.loads((audits / "hacking" / "report.json").read_text())
        assert hacking["command"].endswith(f"--run {run}")
        assert hacking["samples"]["train episodes"] == 36
        sure = json.loads((audits / "calibration" / "report.json").read_text())
        assert sure["models"]["policy"] == record.distil.candidate.removeprefix("local:")
        played = len(record.examine.gated.anchors.pairs + record.examine.gated.compared.pairs)
        assert sure["samples"]["attempts"] == played


def test_a_finished_round_is_told_and_judged_again_from_its_record(learned, capsys):
    config, (first, _) = learned
    assert replay(config, "1", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"]
    assert told["examine"] == json.loads(to_json(first.examine))
    swapped = first.examine.gated
    swapped = replace(swapped, compared=Comparison(a=swapped.compared.b, b=swapped.compared.a))
    assert judged_again(first)
    assert not judged_again(replace(first, examine=replace(first.examine, gated=swapped)))


def test_a_record_survives_json(learned):
    _, records = learned
    for record in records:
        told = {stage: to_json(report) for stage, report in record.finished.items()}
        assert record_of(told) == record


def test_the_same_seed_makes_the_same_round_elsewhere(learned, model, tmp_path):
    config, (first, _) = learned
    again = small_config(tmp_path, model, seed=3)
    learn(again, 1, as_json=True)
    with open_rounds(again) as rounds:
        record = record_of(rounds.reports(rounds.get("1").id))
    assert record.recall == first.recall
    assert record.examine == first.examine
    assert record.absorb == first.absorb
    name = Named.parse(first.distil.candidate).adapter
    weights = [
        load_file(each.home / "adapters" / name / "model.safetensors") for each in (config, again)
    ]
    for key, tensor in weights[0].items():
        assert (tensor - weights[1][key]).abs().max() <= 1e-6, key


def test_nothing_learned_is_of_a_task_kept_for_the_exam(learned, capsys):
    config, _ = learned
    assert check(config, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["leaks"] == []
    assert told["adapters"] == 3  # the cold start and one of each round
    assert told["memories"] > 0


def test_an_adapter_that_learned_from_the_exam_is_found_out(learned):
    config, (first, _) = learned
    answer = first.examine.gated.compared.a.answers[0]
    name = Named.parse(first.distil.candidate).adapter
    file = config.home / "adapters" / name / "lineage.json"
    honest = file.read_text(encoding="utf-8")
    told = json.loads(honest)
    told["episodes"].append(answer.episode)
    told["walkthroughs"] = [*told.get("walkthroughs", ()), answer.task]
    file.write_text(json.dumps(told), encoding="utf-8")
    try:
        with make_library(config) as library, open_rounds(config) as rounds:
            found = leaks(library, rounds)
    finally:
        file.write_text(honest, encoding="utf-8")
    assert f"adapter {name} rests on episode {answer.episode} of a dev task" in found
    assert f"adapter {name} rests on the dev task {answer.task}" in found


def test_an_order_with_a_correction_of_an_exam_is_found_out(learned, tmp_path):
    config, (first, _) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    answer = first.examine.gated.compared.a.answers[0]
    with make_library(config) as library, open_rounds(config) as rounds:
        said = library.annotations.add(
            Annotation(episode=answer.episode, step=1, action="look around", by="me", at=NOON)
        )
        order = next(ordered(library.orders))
        assert leaks(library, rounds) == ()
        write_order(library.orders, replace(order, corrections=(said.id,)))
        assert leaks(library, rounds) == (
            f"order {order.name} rests on episode {answer.episode} of a dev task",
        )


@pytest.fixture
def third(learned, tmp_path):
    """Return where a third round begins, in a copy of the home."""
    config, _ = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    with open_rounds(config) as rounds:
        yield Site(config=config, round=begin_round(config, rounds), rounds=rounds)


def test_attempts_of_somebody_else_are_not_pooled(learned, third):
    _, (first, second) = learned
    own = [each.id for each in second.recall.attempts]
    before = [each.id for each in first.recall.attempts]
    assert pooled(third, second) == [*before, *own, *own]  # as if the second were the third
    other = replace(second, start=replace(second.start, student=second.distil.candidate))
    assert pooled(third, other) == own  # who acts now did not make the others


def test_a_student_that_learned_nothing_new_is_examined_once(learned, third):
    _, (first, second) = learned
    assert unjudged(third, first.start) == first.start.student  # only what was made of it was
    judged = replace(second.start, student=second.distil.candidate)
    assert unjudged(third, judged) is None
    assert unjudged(third, replace(judged, incumbent=judged.student)) is None


def test_what_a_deleted_adapter_learned_from_cannot_be_traced_and_that_is_said(learned, tmp_path):
    config, (first, _) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    parent = first.distil.report.parent
    rmtree(config.home / "adapters" / parent)
    with make_library(config) as library, open_rounds(config) as rounds:
        found = leaks(library, rounds)
    assert len(found) == 2  # one of each round goes back to it
    assert all(line.endswith(f"{parent}, which is gone: nobody can trace it") for line in found)


def _judged(config, candidate, wins):
    """Return a site and the record of a round whose candidate won so many of eight tasks."""
    compared = a_comparison([False] * 8, [True] * wins + [False] * (8 - wins))
    verdict = judge(compared.pairs, Plan(level=0.05, pairs=8, worthwhile=0.5))
    gated = Gated(compared=compared, anchors=a_comparison([], []), tolerated=0, verdict=verdict)
    rounds = open_rounds(config)
    site = Site(config=config, round=begin_round(config, rounds), rounds=rounds)
    bare = replace(Named.parse(candidate), adapter="base")
    record = Record(
        start=Started(incumbent=str(bare), student=str(bare), cold=None),
        distil=Distilled(candidate=candidate, report=None, dropped={}),
        examine=Examined(gated=gated, level=0.05),
    )
    rounds.level(Named.parse(candidate).adapter, NOON)
    return site, record


def test_a_proven_candidate_acts_from_then_on_once_and_its_promise_is_kept(learned, tmp_path):
    config, (first, _) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    candidate = first.start.student  # nobody judged it yet
    name = Named.parse(candidate).adapter
    site, record = _judged(config, candidate, wins=8)
    with site.rounds:
        for _ in range(2):  # as if it had been killed before its report was saved
            promoted = promote(site, record)
        assert site.rounds.spending().adopted == 1
        assert promoted.outcome is Outcome.PROMOTE
        assert promoted.acting == candidate
        assert start(site, Record()).incumbent == candidate  # the next round goes on from it
    with make_library(config) as library:
        assert library.adapters.roll_back() is None  # it was promoted once
    promise = read_promise(config, name)
    assert (promise.solved, promise.tasks, promise.outcome) == (8, 8, Outcome.PROMOTE)
    assert 0.6 < promise.low < 0.7
    assert gate_file(config, name).exists()


def test_an_unproven_candidate_does_not_act(learned, tmp_path):
    config, (first, _) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    site, record = _judged(config, first.start.student, wins=1)
    with site.rounds:
        promoted = promote(site, record)
    assert promoted.outcome is Outcome.REJECT
    assert promoted.acting.endswith("@base")


def _left_undecided(site, specs):
    """Leave the exam of a candidate undecided after two pairs, both of them won."""
    tasks = make_environment(site.config).tasks(Split.DEV)
    sheets = [a_sheet(spec, [won, won]) for spec, won in zip(specs, (False, True), strict=True)]
    before, after = (
        replace(each, answers=tuple(
            replace(one, task=task.id) for one, task in zip(each.answers, tasks, strict=False)))
        for each in sheets
    )  # fmt: skip
    compared = Comparison(a=before, b=after)
    verdict = judge(compared.pairs, Plan(level=0.05, pairs=9, worthwhile=0.5))
    assert verdict.outcome is Outcome.UNDECIDED
    gated = Gated(compared=compared, anchors=a_comparison([], []), tolerated=0, verdict=verdict)
    site.rounds.level(Named.parse(specs[1]).adapter, NOON)
    assert decided(site, specs, Examined(gated=gated, level=0.05)).outcome is Outcome.UNDECIDED
    return gated


def test_what_a_round_left_undecided_the_next_one_goes_on_with(learned, tmp_path):
    config, (first, _) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    specs = (first.start.incumbent, first.start.student)
    rounds = open_rounds(config)
    site = Site(config=config, round=begin_round(config, rounds), rounds=rounds)
    with rounds:
        begun = _left_undecided(site, specs)
        spent = rounds.spending()
        settled = settle(site, Record())
        assert (settled.incumbent, settled.candidate) == specs
        found = settled.examined.gated
        assert found.compared.pairs[:2] == begun.compared.pairs
        assert len(found.compared.pairs) > 2
        assert rounds.spending() == spent  # its level was spent when it began
        for _ in range(2):  # as if it had been killed before its report was saved
            started = start(site, Record(settle=settled))
        assert started.settled.outcome is found.verdict.outcome is not Outcome.UNDECIDED
        assert rounds.undecided() == []
        assert settle(site, Record()).examined is None
        assert judged_again(Record(settle=settled))
    promise = read_promise(config, Named.parse(specs[1]).adapter)
    assert promise.begun is None
    assert promise.tasks == len(found.compared.pairs)


def test_an_exam_against_who_no_longer_acts_is_not_gone_on_with(learned, tmp_path):
    config, (first, second) = learned
    copytree(config.home, tmp_path / "home")
    config = config.model_copy(update={"home": tmp_path / "home"})
    rounds = open_rounds(config)
    site = Site(config=config, round=begin_round(config, rounds), rounds=rounds)
    with rounds, make_library(config) as library:
        _left_undecided(site, (first.distil.candidate, first.start.student))
        assert settle(site, Record()).examined is None
        library.adapters.promote(Named.parse(first.distil.candidate).adapter)
        assert settle(site, Record()).candidate == first.start.student  # it acts by now
    assert second.settle.examined is None


def test_who_has_no_weights_here_cannot_learn(tmp_path, model):
    config = small_config(tmp_path, model).model_copy()
    config = config.model_copy(
        update={"policy": config.policy.model_copy(update={"use": "random"})}
    )
    with pytest.raises(NotALearnerError, match="'random' cannot learn"):
        learn(config, 1, as_json=True)


def test_the_demo_tells_before_and_after_and_where_to_look(model, tmp_path, capsys):
    config = small_config(tmp_path, model, seed=3, learn={"tasks": 2, "attempts": 2})
    demo(config, as_json=False)
    told = capsys.readouterr().out
    for words in ("contender", "difference", "memory learned", "it was not promoted"):
        assert words in told
    assert f"apprentice learn --check --home {tmp_path}" in told


def test_the_settings_of_the_demo_are_written_once_and_can_be_read(tmp_path):
    file = written_settings(tmp_path / "home")
    config = load({"home": tmp_path / "home"}, file)
    assert config.environment.settings["max_receptacles"] == 6
    assert config.gate.tries == 0
    file.write_text("seed = 9\n", encoding="utf-8")
    assert load({}, written_settings(tmp_path / "home")).seed == 9
