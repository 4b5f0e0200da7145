"""What a search leaves behind: episodes, preferences, values of moments, a tree to look at."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from agent.attempt import Limits
from agent.scripted import RandomPolicy, Scripted
from agent.search.attempts import searched as all_searched
from agent.search.critics import Aspect, WorldCritic
from agent.search.harvest import (
    demonstrations,
    episode_of,
    failures,
    preferences,
    progress,
    returns,
)
from agent.search.record import from_json, record, to_json
from agent.search.settings import SearchSettings
from agent.search.walk import Scene
from environments.episode import Completion, Ending, Split
from environments.errors import UserError
from thickets import NOON, Knowing, Thicket, an_attempt, critics, path_of, searched
from worlds import Crashing

GOAL = (0, 1, 2, 0)
WORLD = Thicket(depth=4, width=3, goals={GOAL})
JUDGED = critics(outcome=WorldCritic())


class Spoken(RandomPolicy):
    """A random policy that tells its tokens."""

    async def complete(self, turn):
        said = await super().complete(turn)
        return replace(said, token_ids=(1, 2), logprobs=(-0.1, -0.2), prompt_tokens=9)


@pytest.fixture(scope="module")
def search():
    found = searched(WORLD, 1, Spoken(), critics=JUDGED, budget=400)
    assert found.found.ending is Ending.SOLVED
    return found


def actions(episode):
    return tuple(int(action) for action in episode.actions)


def test_the_way_found_is_an_episode_marked_as_found_by_a_search(search):
    episode = episode_of(search, search.found, "random", NOON)
    assert (episode.id, episode.run, episode.policy) == ("a1", "r", "random+search400")
    assert actions(episode) == GOAL
    assert episode.reward == 1.0
    assert episode.closing == f"You have gone {GOAL}."


def test_its_tokens_are_left_out_for_it_is_no_sample_of_the_policy(search):
    episode = episode_of(search, search.found, "random", NOON)
    for step in episode.steps:
        assert step.completion == Completion(text=step.action, prompt_tokens=9)


def test_demonstrations_are_the_shortest_ways_capped_by_task_and_of_train_tasks_alone(search):
    episode = episode_of(search, search.found, "random", NOON)
    longer = replace(episode, id="b", steps=(episode.steps[0], *episode.steps))
    twin = replace(episode, id="c")
    lost = replace(episode, id="d", ending=Ending.FAILED)
    other = replace(longer, id="e", task=replace(episode.task, id="thicket/other"))
    held_out = replace(episode, id="f", task=replace(episode.task, split=Split.DEV))
    found = (longer, episode, twin, lost, other, held_out)
    assert [e.id for e in demonstrations(found, per_task=1)] == ["a1", "e"]
    assert [e.id for e in demonstrations(found, per_task=9)] == ["a1", "b", "e"]


def test_preferences_share_their_beginning_and_prefer_what_led_to_better_ends(search):
    means = {path_of_node(node): node.mean for node in search.root.walk()}
    found = list(preferences(search, "random", NOON, margin=0.1))
    assert found
    for each in found:
        better, worse = actions(each.better), actions(each.worse)
        assert better[: each.shared] == worse[: each.shared]
        assert len(better) == len(worse) == each.shared + 1
        assert better != worse
        assert each.margin == pytest.approx(means[better] - means[worse])
        assert each.margin > 0.1
        assert each.better.steps[: each.shared] == each.worse.steps[: each.shared]


def path_of_node(node):
    return tuple(int(step.action) for step in node.steps)


def test_returns_are_the_means_of_what_was_found_as_chances(search):
    means = {path_of_node(node): node.mean for node in search.root.walk()}
    found = list(returns(search, "random", NOON))
    assert found
    for each in found:
        assert each.value == pytest.approx((means[actions(each.episode)] + 1) / 2)
        assert 0 <= each.value <= 1


def test_progress_is_k_of_k_on_the_way_and_one_step_less_beside_it(search):
    way = [path_of_node(node) for node in search.best.node.way]
    values = {actions(each.episode): each.value for each in progress(search, "random", NOON)}
    assert values
    for path, value in values.items():
        if path in way:
            assert value == len(path) / 4
        else:
            assert path[:-1] in way
            assert value == max(len(path) - 2, 0) / 4


def test_without_a_way_no_progress_is_known():
    lost = searched(Thicket(depth=3, width=2, goals=set()), critics=JUDGED, budget=40)
    assert list(progress(lost, "random", NOON)) == []


def test_failed_branches_are_attempts_that_a_critic_can_read(search):
    failed = failures(search, "random", NOON, most=2)
    assert 1 <= len(failed) <= 2
    assert len({each.id for each in (*failed, episode_of(search, search.found, "x", NOON))}) == 3
    for each in failed:
        assert each.ending is Ending.FAILED
        assert WORLD.start(each.task).observation.text == each.steps[0].observation


def test_nothing_is_learned_from_a_task_that_is_held_out():
    held = searched(WORLD, 1, critics=JUDGED, budget=400, split=Split.DEV)
    assert held.nodes > 2
    assert list(preferences(held, "random", NOON)) == []
    assert list(returns(held, "random", NOON)) == []
    assert list(progress(held, "random", NOON)) == []
    assert failures(held, "random", NOON, most=8) == ()


def test_a_tree_is_kept_whole_and_read_back(search):
    kept = record(search)
    assert from_json(to_json(kept)) == kept
    assert len(kept.twigs) == search.nodes
    assert kept.twigs[0].visits == search.root.visits
    assert kept.opinions.keys() <= set(Aspect)
    chosen = [twig for twig in kept.twigs if twig.chosen]
    taken = [action for twig in chosen for action in twig.actions] + list(kept.rest)
    assert tuple(map(int, taken)) == GOAL
    assert all(b.parent == kept.twigs.index(a) for a, b in pairwise(chosen))


def make(world, policy, count, **how):
    scene = Scene(
        environment=world, policy=policy, fast=policy, critics=JUDGED, limits=Limits(steps=8)
    )
    told, episodes = [], []

    async def play():
        attempts = [an_attempt(world, seed) for seed in range(count)]
        found = all_searched(
            scene,
            attempts,
            settings=SearchSettings(budget=60),
            clock=lambda: NOON,
            concurrency=2,
            on_search=told.append,
            **how,
        )
        async for episode in found:
            episodes.append(episode)  # noqa: PERF401 - one by one, for it may be cut off

    try:
        asyncio.run(play())
    except UserError as error:
        return episodes, told, error
    return episodes, told, None


def test_each_attempt_is_searched_and_becomes_one_episode():
    episodes, told, _ = make(WORLD, RandomPolicy(), 5)
    assert sorted(each.id for each in episodes) == [f"a{seed}" for seed in range(5)]
    assert {each.attempt.id for each in told} == {each.id for each in episodes}
    assert all(each.spent.steps <= 60 for each in told)


def test_a_world_that_crashes_breaks_its_attempt_and_no_other():
    episodes, told, _ = make(Crashing(), Scripted(lambda _: "go to garden"), 2)
    assert [each.ending for each in episodes] == [Ending.BROKEN] * 2
    assert "the garden has no area" in episodes[0].error
    assert told == []


class NoKeyError(UserError, RuntimeError):
    pass


class Keyless(RandomPolicy):
    async def complete(self, turn):
        raise NoKeyError("no key; set one")


def test_what_a_user_can_mend_stops_the_searches():
    _, told, error = make(WORLD, Keyless(), 3)
    assert str(error) == "no key; set one"
    assert told == []


def test_a_value_of_the_whole_tree_leads_to_the_goal_without_rollouts():
    knowing = Knowing(lambda path: 1.0 if GOAL[: len(path)] == path else -1.0)
    found = searched(WORLD, critics=critics(value=knowing), budget=60, misses=20)
    assert path_of(found.found) == GOAL
