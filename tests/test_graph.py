"""One episode: what the policy is shown, what is recorded, and how it ends."""

import asyncio
import sqlite3
from contextlib import aclosing, closing
from dataclasses import replace
from datetime import timedelta

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.attempt import Limits
from agent.play.checkpoints import checkpoints
from agent.play.practice import practice
from agent.scripted import RandomPolicy, Scripted
from environments.check import check_environment
from environments.episode import Completion, Ending
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import NOT_AN_ACTION, Origin, retell
from practicing import NOON, Dawdling, attempts, interrupted, practiced, ticking, untimed
from worlds import Crashing, Renovated, Workshop

(FIRST,) = attempts(1)  # the chisel, which is in the cellar
GOLD = ("go to cellar", "take chisel")


class Costly:
    """A script that costs tokens: 9 to read and 1 to write each turn."""

    name, temperature, width = "costly", 0.5, 1

    async def complete(self, turn):
        return Completion(text="look around", prompt_tokens=9, completion_tokens=1)

    async def close(self):
        """Hold nothing."""


def test_the_workshop_keeps_the_contract_of_environments():
    assert check_environment(Workshop()) == ()


def test_a_script_that_fetches_the_tool_solves_the_task():
    (episode,) = practiced(Scripted(GOLD), [FIRST])
    assert (episode.ending, episode.actions, episode.reward) == (Ending.SOLVED, GOLD, 1.0)
    assert [step.observation for step in episode.steps] == [
        "You stand at the door. Fetch the chisel.",
        "You are in the cellar.",
    ]
    assert episode.closing == "You hold the chisel."
    assert (episode.id, episode.task, episode.run) == (FIRST.id, FIRST.task, "r")
    assert (episode.policy, episode.temperature, episode.seed) == ("scripted", 0.0, 0)


def test_the_environment_alone_says_that_a_task_is_lost():
    (episode,) = practiced(Scripted(["go to attic", "take saw"]), [FIRST])
    assert (episode.ending, episode.closing) == (Ending.FAILED, "The floor gives way.")


def test_nonsense_for_ever_ends_truncated_at_the_step_limit_without_touching_the_world():
    (episode,) = practiced(Scripted(["la la la"] * 9), [FIRST], limits=Limits(steps=5))
    assert episode.ending is Ending.TRUNCATED
    assert [step.action for step in episode.steps] == [None] * 5
    assert [step.observation for step in episode.steps[1:]] == [NOT_AN_ACTION] * 4
    assert episode.closing == NOT_AN_ACTION
    assert {step.admissible for step in episode.steps} == {episode.steps[0].admissible}


def test_an_episode_is_solved_by_the_last_step_it_is_allowed():
    (episode,) = practiced(Scripted(GOLD), [FIRST], limits=Limits(steps=2))
    assert episode.ending is Ending.SOLVED


def test_an_episode_out_of_tokens_is_truncated():
    (episode,) = practiced(Costly(), [FIRST], limits=Limits(steps=9, tokens=30))
    assert (episode.ending, len(episode.steps)) == (Ending.TRUNCATED, 3)
    assert (episode.prompt_tokens, episode.completion_tokens) == (27, 3)


def test_an_episode_out_of_time_is_truncated():
    # The clock ticks once as the episode begins and once after each step.
    (episode,) = practiced(Costly(), [FIRST], limits=Limits(steps=9, seconds=4))
    assert (episode.ending, len(episode.steps)) == (Ending.TRUNCATED, 4)
    assert (episode.started, episode.seconds) == (NOON, 4.0)


@pytest.mark.parametrize("held", [0, 2])
def test_a_transcript_that_the_policy_cannot_hold_truncates_its_episode_and_no_other(held):
    def script(turn):
        written = sum(message.origin is Origin.POLICY for message in turn.messages)
        if turn.episode == "e01" and written == held:
            raise ContextFullError("the transcript needs 9 tokens and a lane holds 8")
        return "look around"

    episodes = practiced(Scripted(script), attempts(3), limits=Limits(steps=4))
    lengths = {each.id: (each.ending, len(each.steps)) for each in episodes}
    whole = (Ending.TRUNCATED, 4)
    assert lengths == {"e00": whole, "e01": (Ending.TRUNCATED, held), "e02": whole}


def test_limits_of_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Limits(steps=0)


def test_a_crash_in_the_environment_is_a_broken_episode_with_its_traceback_and_its_steps():
    script = Scripted(["look around", "go to garden"])
    (episode,) = practiced(script, [FIRST], environment=Crashing())
    assert episode.ending is Ending.BROKEN
    assert "ZeroDivisionError: the garden has no area" in (episode.error or "")
    assert episode.actions == ("look around",)


def test_a_crash_in_the_policy_breaks_one_episode_and_no_other():
    def script(turn):
        if turn.episode == "e01":
            raise KeyError("weights")
        return "look around"

    episodes = practiced(Scripted(script), attempts(3), limits=Limits(steps=2))
    endings = {each.id: each.ending for each in episodes}
    assert endings == {"e00": "truncated", "e01": "broken", "e02": "truncated"}


def test_the_policy_sees_the_transcript_grow_and_it_is_the_one_retold_for_training():
    seen = []

    def script(turn):
        seen.append(turn)
        return GOLD[len(seen) - 1]

    briefed = replace(FIRST, briefing="Chisels are kept in cellars.")
    (episode,) = practiced(Scripted(script), [briefed])
    assert [message.origin for message in seen[0].messages] == [
        Origin.SYSTEM,
        Origin.MEMORY,
        Origin.TASK,
    ]
    whole = retell(episode, Workshop.instructions)
    for turn in seen:
        assert turn.messages == whole[: len(turn.messages)]
    assert episode.briefing == "Chisels are kept in cellars."


def test_each_turn_has_a_seed_of_its_own_derived_from_that_of_the_attempt():
    seeds = []

    def script(turn):
        seeds.append(turn.seed)
        return "look around"

    practiced(Scripted(script), [FIRST], limits=Limits(steps=3))
    assert seeds == [derive(FIRST.seed, step) for step in range(3)]


def test_a_random_policy_tries_every_action_and_repeats_itself_by_seed():
    once, again = (practiced(RandomPolicy(), attempts(40)) for _ in range(2))
    assert {each.id: each.actions for each in once} == {each.id: each.actions for each in again}
    first = {each.actions[0] for each in once}
    assert first == {f"go to {room}" for room in ("attic", "cellar", "garden", "hall")} | {
        "look around"
    }


def test_whoever_watches_is_told_of_each_step_once():
    told = []
    (episode,) = practiced(
        Scripted(GOLD), [FIRST], on_step=lambda attempt, step: told.append((attempt.id, step))
    )
    assert told == [(FIRST.id, step) for step in episode.steps]


def test_a_fault_of_whoever_watches_is_logged_and_breaks_no_episode(caplog):
    def watch(*_):
        raise BrokenPipeError("the terminal is gone")

    (episode,) = practiced(Scripted(GOLD), [FIRST], on_step=watch)
    assert episode.ending is Ending.SOLVED
    assert "the terminal is gone" in caplog.text


def test_a_checkpoint_holds_nothing_but_plain_values():
    saver = InMemorySaver()
    interrupted(Scripted(["look around"] * 5), [FIRST], 4, checkpointer=saver)
    kept = list(saver.list(None))
    leaves = {
        type(leaf)
        for each in kept
        for values in (each.checkpoint["channel_values"], each.pending_writes)
        for leaf in _leaves(values)
    }
    assert len(kept) > 4
    assert leaves <= {str, int, float, type(None)}


def _leaves(values):
    if isinstance(values, dict):
        values = [*values.keys(), *values.values()]
    if not isinstance(values, list | tuple):
        yield values
        return
    for each in values:
        yield from _leaves(each)


@pytest.mark.parametrize("turns", range(1, 7))
def test_an_episode_cancelled_at_any_turn_goes_on_and_ends_as_if_undisturbed(turns):
    saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=None))
    script = Scripted(["look around", "la la la", "go to hall", "go to attic", *GOLD])
    whole = practiced(script, [FIRST])
    assert interrupted(script, [FIRST], turns, checkpointer=saver) == []
    resumed = Dawdling(script)
    assert untimed(practiced(resumed, [FIRST], checkpointer=saver)) == untimed(whole)
    assert resumed.asked <= len(whole[0].steps) - turns + 1


def test_the_pause_between_two_sittings_is_not_counted():
    saver = InMemorySaver()
    script = Scripted(["look around"] * 3 + list(GOLD))
    interrupted(script, [FIRST], 3, checkpointer=saver)
    later = ticking(NOON + timedelta(days=1))
    (episode,) = practiced(script, [FIRST], checkpointer=saver, clock=later)
    assert (episode.started, episode.seconds) == (NOON, 5.0)


def test_an_episode_whose_world_has_changed_is_broken_and_says_what_changed():
    saver = InMemorySaver()
    script = Scripted(["go to hall", "go to cellar", "look around", *GOLD])
    interrupted(script, [FIRST], 3, checkpointer=saver)
    (episode,) = practiced(script, [FIRST], checkpointer=saver, environment=Renovated())
    assert episode.ending is Ending.BROKEN
    assert "after 1 steps" in (episode.error or "")
    assert "'You are in the hall.'" in (episode.error or "")
    assert "'This is the hall.'" in (episode.error or "")


def test_what_is_saved_grows_with_the_steps_and_not_with_their_square(tmp_path):
    small, large = (
        asyncio.run(_bytes_saved(tmp_path / f"{steps}.sqlite", steps)) for steps in (10, 40)
    )
    assert large < 5 * small


async def _bytes_saved(file, steps):
    async with checkpoints(file) as saver:
        script = Scripted(["look around"] * steps)
        finished = practice(
            script,
            Workshop(),
            [FIRST],
            limits=Limits(steps=steps),
            checkpointer=saver,
            clock=ticking(),
            concurrency=1,
        )
        async with aclosing(finished):
            await anext(finished)  # the checkpoints are dropped when the next one is asked for
    with closing(sqlite3.connect(file)) as saved:
        (states,) = saved.execute("SELECT SUM(LENGTH(checkpoint)) FROM checkpoints").fetchone()
        (writes,) = saved.execute("SELECT SUM(LENGTH(value)) FROM writes").fetchone()
        return states + writes
