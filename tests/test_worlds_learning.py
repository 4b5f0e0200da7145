"""The loop learns, or at least goes round, in worlds that it was not made for."""

import pytest

from apprentice.commands.learn import check, learn, open_rounds
from apprentice.loop.reports import record_of
from bench.worlds_learning import code, told
from installed import needs
from sandboxes import needs_sandbox
from tiny_learner import save_tiny_model, small_config

pytestmark = pytest.mark.slow

COOKING = {"kinds": ["cookingworld"], "train": 12, "dev": 4, "test": 1}


@needs_sandbox
@needs("code")
def test_an_endpoint_writes_more_programs_with_what_it_learned_and_no_more_without(tmp_path):
    found = code(tmp_path, told(["--world", "code", "--quick"]))
    assert found["won"] >= 3
    assert found["lost"] == 0
    assert found["differing_without_memory"] == 0
    assert found["shown_lessons"] > 0


@needs("textworld_express")
def test_a_whole_round_goes_through_in_a_kitchen_without_rooms_or_numbers(tmp_path):
    config = small_config(
        tmp_path / "home",
        save_tiny_model(tmp_path / "tiny"),
        environment={"name": "textworld_express", "settings": COOKING},
        distill={"length": 8000, "demonstrations": 3, "passes": 1, "canaries": 0},
        learn={"tasks": 2, "attempts": 2, "exam": 3, "pairs": 0},
        limits={"steps": 6},
        critic={"use": "evidence"},
    )
    learn(config, 1, as_json=False)
    with open_rounds(config) as rounds:
        record = record_of(rounds.reports(rounds.all()[0].id))
    assert record.start.cold.walkthroughs == 3
    assert record.practise.episodes == 4
    assert record.distil.candidate is not None
    assert record.promote is not None
    assert check(config, as_json=False)
