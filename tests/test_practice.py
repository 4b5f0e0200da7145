"""Many episodes at once: each comes back once, the same in any order, whatever goes wrong."""

import asyncio
import time
from collections import Counter
from contextlib import aclosing

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agent.attempt import Limits
from agent.play.checkpoints import CheckpointError, checkpoints
from agent.play.practice import practice
from agent.scripted import RandomPolicy, Scripted
from environments.episode import Ending
from environments.errors import UserError
from practicing import Dawdling, attempts, cut_off, gather, interrupted, practiced, ticking, untimed
from worlds import Workshop, WorkshopPlay


class EndpointDownError(UserError, ConnectionError):
    """What a policy raises when someone has to mend something."""


def test_64_attempts_16_at_a_time_give_each_episode_once():
    policy = Dawdling(RandomPolicy())
    tries = attempts(64)
    episodes = practiced(policy, tries, concurrency=16)
    assert Counter(each.id for each in episodes) == Counter(each.id for each in tries)
    assert policy.most_at_once == 16
    assert {each.ending for each in episodes} == {Ending.SOLVED, Ending.FAILED, Ending.TRUNCATED}


def test_episodes_are_the_same_one_at_a_time_and_16_at_once_and_in_any_order():
    one = practiced(Dawdling(RandomPolicy()), attempts(24), concurrency=1)
    many = practiced(Dawdling(RandomPolicy()), reversed(attempts(24)), concurrency=16)
    assert [each.id for each in one] == [each.id for each in attempts(24)]
    assert untimed(one) == untimed(many)


def test_attempts_are_taken_as_room_becomes_free_so_there_may_be_any_number():
    def endless():
        number = 0
        while True:
            taken.append(number)
            yield attempts(number + 1)[number]
            number += 1

    async def first_three():
        finished = practice(
            RandomPolicy(),
            Workshop(),
            endless(),
            limits=Limits(steps=3),
            checkpointer=InMemorySaver(),
            clock=ticking(),
            concurrency=4,
        )
        async with aclosing(finished):
            return [await anext(finished) for _ in range(3)]

    taken = []
    assert len(asyncio.run(first_three())) == 3
    assert len(taken) <= 4 + 3


def test_no_attempts_give_no_episodes():
    assert practiced(RandomPolicy(), []) == []


@pytest.mark.parametrize("turns", [1, 20, 100])
def test_a_cancelled_practice_goes_on_and_ends_as_if_undisturbed(turns):
    saver = InMemorySaver()
    whole = practiced(RandomPolicy(), attempts(24))
    before = interrupted(RandomPolicy(), attempts(24), turns, checkpointer=saver)
    kept = {each.id for each in before}
    rest = [each for each in attempts(24) if each.id not in kept]
    after = practiced(RandomPolicy(), rest, checkpointer=saver)
    assert Counter(each.id for each in [*before, *after]) == Counter(
        each.id for each in attempts(24)
    )
    assert untimed([*before, *after]) == untimed(whole)


def test_a_practice_killed_again_and_again_still_ends_as_if_undisturbed():
    saver = InMemorySaver()
    done = []
    for _ in range(8):
        kept = {each.id for each in done}
        rest = [each for each in attempts(16) if each.id not in kept]
        done += interrupted(RandomPolicy(), rest, 9, checkpointer=saver)
    kept = {each.id for each in done}
    rest = [each for each in attempts(16) if each.id not in kept]
    done += practiced(RandomPolicy(), rest, checkpointer=saver)
    assert len(done) == 16
    assert untimed(done) == untimed(practiced(RandomPolicy(), attempts(16)))


def test_checkpoints_are_dropped_only_after_the_episode_was_handed_over():
    saver = InMemorySaver()

    async def watch():
        finished = practice(
            Scripted(["go to attic", "take saw"]),
            Workshop(),
            attempts(1),
            limits=Limits(),
            checkpointer=saver,
            clock=ticking(),
            concurrency=1,
        )
        async with aclosing(finished):
            episode = await anext(finished)
            held = [saved async for saved in saver.alist(None)]
            assert held
            assert [each async for each in finished] == []
            return episode

    assert asyncio.run(watch()).ending is Ending.FAILED
    assert list(saver.list(None)) == []


def test_an_episode_whose_consumer_died_is_handed_over_again_without_being_played_again():
    saver = InMemorySaver()

    async def die():
        finished = practice(
            RandomPolicy(),
            Workshop(),
            attempts(1),
            limits=Limits(),
            checkpointer=saver,
            clock=ticking(),
            concurrency=1,
        )
        async with aclosing(finished):
            return await anext(finished)

    first = asyncio.run(die())
    policy = Dawdling(RandomPolicy())
    assert practiced(policy, attempts(1), checkpointer=saver) == [first]
    assert policy.asked == 0


def test_an_episode_killed_while_it_was_first_saved_begins_again():
    saver = InMemorySaver()
    interrupted(RandomPolicy(), attempts(1), 3, checkpointer=saver)
    (saved,) = (space[""] for space in saver.storage.values())
    for checkpoint in sorted(saved)[1:]:  # the first is the input as it was given: nothing yet
        del saved[checkpoint]
    saver.writes.clear()
    after = practiced(RandomPolicy(), attempts(1), checkpointer=saver)
    assert untimed(after) == untimed(practiced(RandomPolicy(), attempts(1)))


def test_what_a_user_can_mend_stops_the_practice_and_loses_no_finished_episode():
    def script(turn):
        if turn.episode == "e05" and len(turn.messages) > 4:
            raise EndpointDownError("no answer; start the server")
        return "look around"

    saver = InMemorySaver()
    before = []
    with pytest.raises(EndpointDownError, match="start the server"):
        asyncio.run(
            gather(
                Scripted(script),
                attempts(12),
                before,
                checkpointer=saver,
                concurrency=4,
                limits=Limits(steps=3),
            )
        )
    assert {each.id for each in before} >= {"e00", "e01", "e02"}
    assert "e05" not in {each.id for each in before}
    assert all(each.ending is Ending.TRUNCATED for each in before)
    kept = {each.id for each in before}
    rest = [each for each in attempts(12) if each.id not in kept]
    mended = Scripted(["look around"] * 3)
    after = practiced(mended, rest, checkpointer=saver, limits=Limits(steps=3))
    assert untimed([*before, *after]) == untimed(
        practiced(mended, attempts(12), limits=Limits(steps=3))
    )


def test_episodes_under_way_survive_in_a_file(tmp_path):
    async def sitting(turns):
        async with checkpoints(tmp_path / "under way.sqlite") as saver:
            rest = [each for each in attempts(24) if each.id not in {one.id for one in done}]
            if turns:
                done.extend(
                    await cut_off(Dawdling(RandomPolicy()), rest, turns, checkpointer=saver)
                )
            else:
                await gather(RandomPolicy(), rest, done, checkpointer=saver)

    done = []
    for turns in (20, 60, None):
        asyncio.run(sitting(turns))
    assert len(done) == 24
    assert untimed(done) == untimed(practiced(RandomPolicy(), attempts(24)))


def test_a_full_disk_stops_the_practice_in_one_line_and_what_was_saved_goes_on(tmp_path):
    async def sitting(pages):
        async with checkpoints(tmp_path / "under way.sqlite") as saver:
            saver.conn.execute(f"PRAGMA max_page_count={pages}")
            rest = [each for each in attempts(12) if each.id not in {one.id for one in done}]
            await gather(RandomPolicy(), rest, done, checkpointer=saver, concurrency=4)

    done = []
    with pytest.raises(CheckpointError, match="full; free disk space"):
        asyncio.run(sitting(40))
    assert all(each.ending is not Ending.BROKEN for each in done)
    asyncio.run(sitting(100_000))
    assert untimed(done) == untimed(practiced(RandomPolicy(), attempts(12)))


def test_a_checkpoint_file_that_is_no_database_is_one_line(tmp_path):
    async def sitting():
        async with checkpoints(damaged) as saver:
            await gather(RandomPolicy(), attempts(1), [], checkpointer=saver)

    damaged = tmp_path / "under way.sqlite"
    damaged.write_bytes(b"The quick brown fox jumps over the lazy dog. " * 99)
    with pytest.raises(CheckpointError, match="file is not a database; free disk space"):
        asyncio.run(sitting())


def test_a_directory_that_is_not_there_is_one_line(tmp_path):
    async def sitting():
        async with checkpoints(tmp_path / "nowhere" / "under way.sqlite"):
            pass

    with pytest.raises(CheckpointError, match="unable to open database file"):
        asyncio.run(sitting())


class Pause:
    """Takes a moment, and remembers how many took it together."""

    def __init__(self):
        self.together = self.most = 0

    def take(self):
        self.together += 1
        self.most = max(self.most, self.together)
        time.sleep(0.05)
        self.together -= 1


class Waiting(WorkshopPlay):
    """A play that waits before it acts."""

    waits, pause = True, Pause()

    def step(self, action):
        self.pause.take()
        return super().step(action)


class WaitingWorkshop(Workshop):
    """A workshop whose door is opened by hand, too."""

    waits, pause = True, Pause()

    def start(self, task):
        self.pause.take()
        return Waiting(task)


def test_a_world_that_takes_long_holds_up_nobody_but_its_own_episode():
    found = practiced(RandomPolicy(), attempts(4), environment=WaitingWorkshop())
    assert len(found) == 4
    assert Waiting.pause.most > 1
    assert WaitingWorkshop.pause.most > 1
    assert untimed(found) == untimed(practiced(RandomPolicy(), attempts(4)))
