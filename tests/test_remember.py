"""Memory in a run: what is active is recalled, shown, noted; what is not leaves no trace."""

from datetime import UTC, datetime

import pytest

from apprentice.build import make_bank, make_rig, make_store
from apprentice.commands.run import new_run, practise
from apprentice.settings.config import load
from bank_builders import a_lesson, a_skill
from environments.episode import Ending, Split
from memory.knowledge.items import Standing
from store_worker import an_episode

ADVICE = "Look into every drawer, and put the thing where the goal says."


def _config(home):
    return load(
        {
            "home": home,
            "policy": {"use": "random"},
            "limits": {"steps": 3},
            "memory": {"left_out": 0.5, "floor": 0.16, "admission": "review"},
        }
    )


def _practised(config, split=Split.TRAIN, episodes=12):
    run = new_run(config, split, episodes)
    with make_rig(config) as rig:
        practise(config, run, rig, fresh=True)
        return list(rig.store.episodes(run=run.id))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return settings of a bank with a lesson that fits and a skill that does not, and both."""
    config = _config(tmp_path_factory.mktemp("learned"))
    with make_store(config) as store:
        store.add(an_episode("e1", ending=Ending.FAILED))
    lesson = a_lesson(
        when="the goal is to put some thing in a drawer, desk, shelf or bed",
        fault="the thing to put is not found",
        instead=ADVICE,
        kind="",
    )
    unlike = a_skill(name="dive", kind="dive", purpose="Steers a submarine", precondition="At sea.")
    with make_bank(config) as bank:
        items = bank.add_all([lesson, unlike])
        for item in items:
            bank.set_standing(item.id, Standing.ACTIVE, "test", datetime.now(UTC))
    return config, *items


def test_without_an_active_item_nothing_is_said(tmp_path):
    assert {episode.briefing for episode in _practised(_config(tmp_path))} == {""}


def test_what_is_recalled_is_said_and_noted_and_left_out_by_lot(learned):
    config, lesson, unlike = learned
    episodes = _practised(config)
    with make_bank(config) as bank:
        noted = {use.episode: use for e in episodes for use in bank.recalled(e.id)}
        assert not bank.uses(unlike.id)  # it is like no task here
    assert {use.item for use in noted.values()} == {lesson.id}
    for episode in episodes:
        use = noted.get(episode.id)
        assert (ADVICE in episode.briefing) == (use is not None and use.shown)
        assert use is None or use.propensity == 0.5
    assert {use.shown for use in noted.values()} == {True, False}


def test_an_exam_leaves_nothing_out(learned):
    config, *_ = learned
    episodes = _practised(config, Split.DEV)
    with make_bank(config) as bank:
        noted = [use for episode in episodes for use in bank.recalled(episode.id)]
    assert noted
    assert all(use.shown and use.propensity == 1 for use in noted)


def test_memory_off_leaves_the_prompt_as_it_was(learned):
    config, *_ = learned
    off = config.model_copy(update={"memory": config.memory.model_copy(update={"recall": "off"})})
    assert {episode.briefing for episode in _practised(off)} == {""}


@pytest.mark.parametrize(
    ("memory", "tokens"),
    [({}, 300), ({"words": "large"}, 1200), ({"words": "large", "budget": 80}, 80)],
)
def test_a_briefing_has_the_room_that_the_model_has_unless_a_number_is_named(
    tmp_path, memory, tokens
):
    config = load({"home": tmp_path, "policy": {"use": "random"}, "memory": memory})
    with make_rig(config) as rig:
        assert rig.reminder.space.budget == tokens
