"""After a promotion: what memory no longer does for success leaves the prompt, and is counted."""

import asyncio
from datetime import UTC, datetime

from apprentice.build import make_bank, make_store
from apprentice.gate.internalise import idle, probe
from apprentice.settings.config import load
from bank_builders import a_lesson
from environments.episode import Ending, Split
from environments.registry import open_environment
from examining import Silent
from memory.knowledge.items import Standing
from memory.proof.proof import Pair
from store_worker import an_episode


def played(wins, losses, ties):
    both = [(False, True)] * wins + [(True, False)] * losses + [(True, True)] * ties
    return [Pair(f"t{number}", before, after) for number, (before, after) in enumerate(both)]


def test_a_memory_without_an_effect_is_idle_and_one_that_helps_or_is_unsure_is_not():
    pairs = {
        "nothing": played(0, 0, 24),
        "harms": played(0, 4, 20),
        "helps": played(4, 0, 20),
        "unsure": played(0, 0, 4),
    }
    assert idle(pairs, 0.1) == ("harms", "nothing")


def test_whoever_does_not_read_what_memory_says_has_no_use_for_it(tmp_path):
    """A random policy acts alike with and without its lesson, whose tokens are then saved."""
    config = load(
        {
            "home": tmp_path,
            "environment": {"settings": {"max_receptacles": 4, "max_objects": 4}},
            "limits": {"steps": 2},
            "memory": {"floor": 0.1},
            "learn": {"idle": 0.3},
        }
    )
    lesson = a_lesson(
        when="the goal is to put some thing in a drawer, desk, shelf or bed",
        fault="the thing to put is not found",
        instead="Look into every drawer, and put the thing where the goal says.",
        kind="",
    )
    with make_store(config) as store, make_bank(config) as bank:
        store.add(an_episode("e1", ending=Ending.FAILED))
        kept = bank.add(lesson)
        bank.set_standing(kept.id, Standing.ACTIVE, "test", datetime.now(UTC))
    world = open_environment("household", **config.environment.settings)
    watched = Silent()
    found = asyncio.run(probe(config, "random", world.tasks(Split.TRAIN)[:12], watched))
    assert found.idle == (kept.id,)
    assert found.tokens_saved > 10
    assert watched.episodes == 24
