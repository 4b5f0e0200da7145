from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from environments.environment import Forkable
from environments.episode import Ending, Split
from environments.household.games import KINDS
from environments.household.household import Household
from real_games import needs_real_games, real_games

NOTHING = "Nothing happens."


@pytest.fixture(scope="module")
def world():
    return Household.generated(train=24, dev=6, test=6, max_receptacles=8, max_objects=10)


def wander(play, seed, steps=30):
    """Act at random; return everything that was seen."""
    rng, seen = Random(seed), [play.observation]
    while seen[-1].ending is None and len(seen) <= steps:
        seen.append(play.step(rng.choice(seen[-1].admissible)))
    return seen


def plays_as_told(world, task):
    """Follow the gold actions: the reward is 1 on the last and 0 before, each is admissible."""
    play, rewards = world.start(task), []
    for action in world.gold(task):
        assert action in play.observation.admissible, (task.id, action)
        rewards.append(play.step(action).reward)
    return play.observation.ending is Ending.SOLVED and rewards == [0.0] * len(rewards[1:]) + [1.0]


def test_an_inadmissible_action_is_answered_and_changes_nothing(world):
    play = world.start(world.tasks(Split.TRAIN)[0])
    before = play.observation
    for action in ("", "dance", "take moon 1 from sky 1", "LOOK", "open"):
        after = play.step(action)
        assert (after.text, after.admissible, after.reward) == (NOTHING, before.admissible, 0.0)


def test_blanks_around_an_action_do_not_matter(world):
    play = world.start(world.tasks(Split.TRAIN)[0])
    assert play.step("  inventory\n").text == "You are not carrying anything."


def test_a_solved_game_gives_its_reward_once_and_then_refuses(world):
    task = world.tasks(Split.TRAIN)[0]
    assert plays_as_told(world, task)
    play = world.start(task)
    for action in world.gold(task):
        play.step(action)
    assert play.observation.admissible == ()
    with pytest.raises(RuntimeError, match="over"):
        play.step("look")


def test_a_closed_play_refuses(world):
    play = world.start(world.tasks(Split.TRAIN)[0])
    play.close()
    play.close()
    with pytest.raises(RuntimeError, match="over"):
        play.step("look")


@pytest.mark.parametrize("number", range(6))
def test_a_fork_goes_its_own_way_and_leaves_the_original_where_it_was(world, number):
    task = world.tasks(Split.TRAIN)[number]
    play = world.start(task)
    assert isinstance(play, Forkable)
    halfway = len(world.gold(task)) // 2
    for action in world.gold(task)[:halfway]:
        play.step(action)
    here = play.observation
    for seed in range(3):
        first, second = play.fork(), play.fork()
        assert first.observation == here
        assert wander(first, seed) == wander(second, seed)
        first.close()
    assert play.observation == here
    for action in world.gold(task)[halfway:]:
        play.step(action)
    assert play.observation.ending is Ending.SOLVED


def test_threads_that_share_a_world_see_what_one_alone_sees(world):
    tasks = [world.tasks(Split.TRAIN)[number % 24] for number in range(96)]
    shared = Household.generated(train=24, max_receptacles=8, max_objects=10)
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(lambda task: wander(shared.start(task), task.id), tasks))
    assert together == [wander(world.start(task), task.id) for task in tasks]


def test_the_instructions_are_short_enough_to_read_every_episode(world):
    assert len(world.instructions.split()) < 45


@needs_real_games
def test_two_hundred_real_walkthroughs_win_with_every_action_admissible():
    world = real_games()
    tasks = [task for split in Split for task in world.tasks(split)]
    assert len(tasks) == 3893
    assert {task.kind for task in tasks} == set(KINDS)
    lost = [task.id for task in tasks[::19] if not plays_as_told(world, task)]
    assert lost == []


@pytest.mark.slow
@needs_real_games
def test_every_real_walkthrough_wins_with_every_action_admissible():
    world = real_games()
    lost = [
        task.id for split in Split for task in world.tasks(split) if not plays_as_told(world, task)
    ]
    assert lost == []
