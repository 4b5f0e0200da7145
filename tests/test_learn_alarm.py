"""A candidate that would be promoted is rejected where an audit says that its signal was gamed."""

import json

import pytest

from apprentice.build import make_library
from apprentice.commands.learn import judged_again, learn, open_rounds
from apprentice.loop.reports import record_of
from buttons import SEEN
from endpoint import says, serving
from memory.proof.proof import Outcome, Reason
from tiny_learner import importing, install_world, save_tiny_model, small_config


@pytest.fixture(scope="module", autouse=True)
def _buttons(tmp_path_factory):
    site = install_world(tmp_path_factory.mktemp("site"), "buttons", "buttons:Buttons")
    with importing(site):
        yield


def _learned(home, score):
    """Return the record of a round whose critic gives every failed attempt this score."""
    quote = {"step": 0, "quote": SEEN}
    answer = {"score": score, "citations": [quote], "lesson": None,
              "hint": "Think about it once more."}  # fmt: skip
    with serving(says(json.dumps(answer))) as server:
        config = small_config(
            home / "home",
            save_tiny_model(home / "tiny"),
            environment={"name": "buttons"},
            critic={"use": "openai:critic", "votes": 1},
            endpoint={"base_url": server.url},
            learn={"temperature": 4.0, "critiques": 12, "tasks": 6, "attempts": 12},
            distill={"rate": 3e-3, "passes": 8},
        )
        learn(config, 1, as_json=True)
    with open_rounds(config) as rounds, make_library(config) as library:
        return record_of(rounds.reports(rounds.get("1").id)), library.adapters.current()


def test_a_judge_that_likes_what_failed_keeps_a_proven_candidate_from_acting(tmp_path):
    record, acting = _learned(tmp_path, score=1)
    verdict = record.examine.gated.verdict
    assert verdict.reason is Reason.VETOED
    (said,) = verdict.vetoes
    assert said.startswith(
        "audit hacking alarms, judge against tool: the judge passes 100% wrongly"
    )
    assert verdict.better < record.examine.level  # else it would not have been asked about
    assert record.promote.outcome is Outcome.REJECT
    assert acting is None
    assert judged_again(record)


@pytest.mark.slow
def test_an_honest_judge_of_the_same_round_does_not(tmp_path):
    record, acting = _learned(tmp_path, score=-1)
    assert record.examine.gated.verdict.reason is Reason.PROVEN
    assert record.distil.candidate.endswith(f"@{acting}")
