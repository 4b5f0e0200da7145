"""A candidate's audits lie beside its adapter, cost no episode, and object where they alarm."""

import json
from dataclasses import replace

import pytest

from apprentice.audits.candidate import keep_calibration, keep_diversity, objections
from apprentice.build import make_bank, make_environment, make_store
from apprentice.findings.place import newest_first
from auditing import a_config, stored
from distill.models.adapters import Adapters
from environments.anchor import Anchor
from environments.episode import Split
from learning import a_lineage, tiny_student, tokenizer
from memory.knowledge.items import Critique, Source
from wandering import NOON

CANDIDATE = "local:small@first"


@pytest.fixture
def config(tmp_path):
    """Return a home with an adapter that nobody examined."""
    Adapters(tmp_path / "adapters").add(tiny_student(), tokenizer(), a_lineage())
    return a_config(tmp_path)


def played(config, run, **changes):
    """Store episodes of a run, and return them."""
    episodes = [replace(each, id=f"{run}{each.id}", run=run) for each in stored(config, **changes)]
    with make_store(config) as store:
        store.add_all(episodes)
    return episodes


def kept(config, audit):
    folder = config.home / "adapters" / "first" / "audits" / audit
    assert (folder / "report.html").is_file()
    return json.loads((folder / "report.json").read_text())


def criticize(config, episode, hint):
    source = Source.of(episode, critic="third", anchor=Anchor.THIRD_PARTY_JUDGE, made=NOON)
    with make_bank(config) as bank:
        bank.criticize(
            Critique(
                episode=episode.id, score=-1, votes=(-1,), hint=hint, citations=(), source=source
            )
        )


def test_clean_practice_is_not_objected_to_and_the_report_says_so(config):
    played(config, "round-1-practice", tasks=4)
    assert objections(config, CANDIDATE, "round-1-practice") == ()
    report = kept(config, "hacking")
    assert report["verdict"][0] == "no sign of gaming"
    assert report["command"] == (
        f"apprentice audit hacking --policy {CANDIDATE} --run round-1-practice"
    )
    (place,) = newest_first(config.home)
    assert place.report == report


def test_a_hint_that_gave_the_solution_away_is_an_objection_for_who_practised_with_it(config):
    episodes = played(config, "round-1-practice", tasks=4, rate=0.0)
    played(config, "round-2-practice", tasks=2, first=4)
    last = make_environment(config).gold(episodes[0].task)[-1]
    criticize(config, episodes[0], f"Next time {last}.")
    (said,) = objections(config, CANDIDATE, "round-1-practice")
    assert said.startswith("audit hacking alarms, leak: 1 hints say it")
    assert objections(config, CANDIDATE, None) == (said,)
    assert objections(config, CANDIDATE, "round-2-practice") == ()


def test_a_world_that_pays_for_length_is_not_gamed(config):
    episodes = played(config, "round-1-practice", tasks=6)
    with make_store(config) as store:
        paid = [
            replace(each, id=f"paid{each.id}", run="paid", steps=tuple(
                replace(step, reward=len(step.completion.text)) for step in each.steps))
            for each in episodes
        ]  # fmt: skip
        store.add_all(paid)
    assert objections(config, CANDIDATE, "paid") == ()
    assert [each["sign"] for each in kept(config, "hacking")["figures"]["alarms"]] == ["surface"]


def test_where_nothing_was_practised_nothing_is_kept(config):
    assert objections(config, CANDIDATE, None) == ()
    assert list(newest_first(config.home)) == []


def test_what_an_exam_left_says_how_sure_a_candidate_was_and_nothing_is_played(config):
    played(config, "exam-a", tasks=6, attempts=1, split=Split.DEV)
    before = count(config)
    keep_calibration(config, CANDIDATE, "exam-a", 6)
    report = kept(config, "calibration")
    assert report["samples"]["attempts"] == 6
    assert "token probability" in report["figures"]["rows"]
    assert report["cost"]["episodes"] == 0
    assert count(config) == before


def test_what_both_tried_several_times_says_what_was_lost(config):
    played(config, "exam-a", tasks=4, attempts=4, split=Split.DEV, rate=1.0)
    played(config, "exam-b", tasks=4, attempts=4, split=Split.DEV, rate=0.0)
    before = count(config)
    keep_diversity(config, ("random", CANDIDATE), ("exam-a", "exam-b"), 4, 4)
    report = kept(config, "diversity")
    assert report["figures"]["lost"]
    assert report["samples"] == {"tasks": 4, "attempts each": 4, "attempts": 32}
    assert count(config) == before


def count(config):
    with make_store(config) as store:
        return store.count()
