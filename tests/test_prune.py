"""Pruning keeps what mattered, and says whether that was proven."""

from dataclasses import replace
from random import Random
from statistics import mean

import pytest

from environments.episode import Ending, Split
from environments.household.household import Household
from memory.making.prune import causal, prune
from wandering import excursions, recorded
from worlds import Workshop

WORLD = Household.generated(train=60)
SHOP = Workshop()
SAW_IN_GARDEN = SHOP.task("workshop/train/saw-garden")
DETOUR = ("look around", "go to hall", "take saw", "take saw", "go to garden", "take saw")


@pytest.fixture(scope="module")
def walks():
    """One walk with detours in each of 60 houses, ten of each kind."""
    return [
        recorded(WORLD, task, excursions(WORLD, task, Random(task.id)))
        for task in WORLD.tasks(Split.TRAIN)
    ]


def solves(world, task, moves):
    """Act exactly these moves: each must be possible and show what it says."""
    play = world.start(task)
    for move in moves:
        assert play.observation.text == move.observation
        assert move.action in play.observation.admissible
        play.step(move.action)
    return play.observation.ending is Ending.SOLVED


def test_sixty_wandering_walks_are_pruned_to_about_their_gold_length_and_still_solve(walks):
    pruned = [prune(walk, WORLD) for walk in walks]
    assert all(each.replayed for each in pruned)
    assert all(
        solves(WORLD, walk.task, each.moves) for walk, each in zip(walks, pruned, strict=True)
    )
    walked = mean(len(walk.steps) for walk in walks)
    left = mean(len(each.moves) for each in pruned)
    gold = mean(len(WORLD.gold(walk.task)) for walk in walks)
    assert walked > 25
    assert left <= 1.02 * gold
    assert max(each.replays for each in pruned) < 50


def test_a_proven_demonstration_has_no_move_that_it_could_do_without(walks):
    for walk in walks[:12]:
        moves = prune(walk, WORLD).moves
        for spared in range(len(moves)):
            rest = [move.action for place, move in enumerate(moves) if place != spared]
            assert not recorded(WORLD, walk.task, rest).solved


def test_the_causal_steps_alone_solve_every_walk_and_are_a_third_of_it(walks):
    kept = [causal(walk) for walk in walks]
    again = [
        recorded(WORLD, walk.task, [walk.steps[place].action for place in places])
        for walk, places in zip(walks, kept, strict=True)
    ]
    assert all(each.solved for each in again)
    assert sum(map(len, kept)) < sum(len(walk.steps) for walk in walks) / 3


def test_walks_of_a_random_agent_are_pruned_too():
    found = []
    for task in WORLD.tasks(Split.TRAIN)[1:60:6]:  # a lamp is easiest to find by chance
        play, rng, done = WORLD.start(task), Random(task.id), []
        while play.observation.ending is None and len(done) < 400:
            done.append(rng.choice(play.observation.admissible))
            play.step(done[-1])
        if play.observation.ending is not None:
            found.append((task, prune(recorded(WORLD, task, done), WORLD), len(done)))
    assert found
    for task, pruned, walked in found:
        assert pruned.replayed
        assert solves(WORLD, task, pruned.moves)
        assert len(pruned.moves) < walked / 10


def test_without_an_environment_nothing_is_called_proven(walks):
    pruned = prune(walks[0])
    assert (pruned.replayed, pruned.replays) == (False, 0)
    assert [move.action for move in pruned.moves] == [
        walks[0].steps[place].action for place in causal(walks[0])
    ]


def test_where_the_texts_mislead_the_replay_does_not():
    walk = recorded(SHOP, SAW_IN_GARDEN, DETOUR)
    assert [walk.actions[place] for place in causal(walk)] != ["go to garden", "take saw"]
    pruned = prune(walk, SHOP)
    assert pruned.replayed
    assert [move.action for move in pruned.moves] == ["go to garden", "take saw"]


def test_what_does_not_solve_again_is_not_called_replayed():
    walk = recorded(SHOP, SAW_IN_GARDEN, DETOUR)
    elsewhere = replace(walk, task=SHOP.task("workshop/train/saw-hall"))
    assert not prune(replace(elsewhere, steps=walk.steps[4:]), SHOP).replayed


def test_a_budget_that_runs_out_leaves_a_longer_proof(walks):
    longest = max(walks, key=lambda walk: len(walk.steps))
    short, long = prune(longest, WORLD), prune(longest, WORLD, most_replays=1)
    assert long.replayed
    assert long.replays == 1
    assert len(long.moves) > len(short.moves)
    assert solves(WORLD, longest.task, long.moves)


def test_only_a_solved_episode_is_pruned():
    with pytest.raises(ValueError, match="truncated"):
        prune(recorded(SHOP, SAW_IN_GARDEN, ["look around"]))


def test_a_step_without_a_legal_action_is_no_move():
    walk = recorded(SHOP, SAW_IN_GARDEN, ["fly", "go to garden", "take saw"])
    assert "fly" not in [move.action for move in prune(walk).moves]
    assert len(prune(walk, SHOP).moves) == 2
