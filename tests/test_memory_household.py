"""The table of what memory does shows what it does to a policy that is known to need it."""

import asyncio
from dataclasses import replace

import pytest

from agent.scripted import RandomPolicy, Scripted
from apprentice.build import make_store
from apprentice.settings.config import load
from bench.memory_household import TEACHER, figures, measured, options_of, table
from environments.episode import Split
from environments.household.household import Household
from environments.transcript import Origin

WORLD = Household.generated(max_receptacles=6)
OPENINGS = {
    WORLD.start(task).observation.text: task for split in Split for task in WORLD.tasks(split)[:60]
}


class Needy:
    """Follows the plan of each task if it was shown an example, and else stands still."""

    name = "needy"
    temperature = 0.0
    width = 8

    async def complete(self, turn):
        shown = any("Example:" in m.text for m in turn.messages if m.origin is Origin.MEMORY)
        task = next(OPENINGS[m.text] for m in turn.messages if m.origin is Origin.TASK)
        written = sum(m.origin is Origin.POLICY for m in turn.messages)
        plan = WORLD.gold(task) if shown else ()
        said = plan[written] if written < len(plan) else "look"
        return await Scripted([said]).complete(replace(turn, messages=()))

    async def close(self):
        pass


def played(policy, tmp_path, *more):
    few = ["--quick", "--critic", "evidence", *more]
    options = options_of(few)
    vars(options).update(tasks=9, walkthroughs=9, attempts=6, limit=12)
    return asyncio.run(measured(options, tmp_path, policy))


@pytest.mark.slow
def test_who_ignores_memory_does_the_same_in_every_arm(tmp_path):
    arms = played(RandomPolicy(), tmp_path)
    found = figures(arms)
    assert [arm.name for arm in arms] == ["none", "demonstrations", "lessons", "both"]
    assert found["none_briefed"] == 0
    assert min(found[f"{arm.name}_briefed"] for arm in arms[1:]) > 0
    assert {found[f"{arm.name}_steps_more"] for arm in arms} == {0.0}
    assert "| both |" in table(arms)


@pytest.mark.slow
def test_who_needs_an_example_solves_more_with_one(tmp_path):
    found = figures(played(Needy(), tmp_path))
    assert found["none_solved"] == found["lessons_solved"] == 0
    assert found["demonstrations_solved"] == found["demonstrations_briefed"] >= 7
    assert found["both_gain_low"] > 0
    assert found["both_p"] < 0.05
    assert found["both_steps_more"] < 0


@pytest.mark.slow
def test_lessons_may_come_from_what_another_tried(tmp_path):
    (_, _, lessons, _) = played(Needy(), tmp_path, "--tried-by", "random")
    assert lessons.memories > 0
    with make_store(load({"home": tmp_path / "lived"})) as store:
        assert {each.policy for each in store.episodes()} == {"random", TEACHER}
