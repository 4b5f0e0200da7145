"""The search itself: what it selects, how broadly, what it merges, backs up, finds and costs."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from random import Random

import pytest

from agent.attempt import Limits
from agent.scripted import RandomPolicy, Scripted
from agent.search.critics import WorldCritic
from agent.search.harvest import episode_of
from agent.search.search import Why
from bench.search import QUICK, steps_per_s
from environments.episode import Completion, Ending, Split
from environments.household.household import Household
from memory.proof.intervals import wilson
from practicing import Dawdling
from small_house import small_house, walk
from thickets import (
    NOON,
    Knowing,
    Ring,
    Thicket,
    ThicketPlay,
    a_search,
    by_chance,
    critics,
    path_of,
    searched,
)


def test_means_are_the_arithmetic_means_of_what_was_found_at_and_below():
    world = Thicket(depth=4, width=3, goals={(0, 1, 2, 0)})
    worth = by_chance(3)._judge
    search = searched(world, critics=critics(value=Knowing(worth)), budget=150)
    assert search.nodes > 30
    for node in search.root.walk():
        below = [worth(path(each)) for each in node.walk() if each.parent is not None]
        if below:
            assert node.visits == len(below)
            assert node.mean == pytest.approx(sum(below) / len(below), abs=1e-12)


def path(node):
    return tuple(int(step.action) for step in node.steps)


def test_an_option_that_is_proposed_again_stays_one_child_and_is_counted():
    world = Thicket(depth=2, width=5, goals=set())
    search = searched(world, policy=Scripted(lambda _: "3"), budget=50, at_once=1)
    (child,) = search.root.children
    assert child.option[0].action == "3"
    assert child.repeats > 0
    assert search.why is Why.KNOWN
    assert search.spent.steps == 2  # what is known to lead to a child is not simulated again


def test_what_a_child_did_is_not_proposed_again_so_that_a_sure_policy_is_searched_too():
    world = Thicket(depth=2, width=5, goals=set())
    sure = Scripted(lambda turn: turn.admissible[0])
    broad = {"fewest": 5, "fewest_first": 5, "at_once": 1}
    children = searched(world, policy=sure, budget=90, **broad).root.children
    assert [each.option[0].action for each in children] == list("01234")
    offered = {each.option[0].admissible for each in children}
    assert offered == {tuple("01234")}  # what could be done stays on record
    (only,) = searched(world, policy=sure, budget=90, again=True, **broad).root.children
    assert only.option[0].action == "0"


def test_ways_that_come_to_the_same_state_are_one():
    search = searched(Ring(places=9, goal=99), budget=400, limits=Limits(steps=30))
    states = [node.state for node in search.root.walk()]
    assert sorted(states) == list(range(9))
    assert search.why is Why.KNOWN
    tree = searched(Thicket(depth=5, width=2, goals=set()), budget=400, fewest=2, fewest_first=2)
    assert tree.nodes == 2**6 - 1  # nothing is merged where nothing is the same


def test_equal_states_of_a_house_are_recognized_and_others_are_not():
    house = small_house()
    around, _ = walk(house, "go to desk 1", "go to fridge 1")
    direct, _ = walk(house, "go to fridge 1")
    assert around.key == direct.key
    assert hash(around.key) == hash(direct.key)
    assert direct.key not in (house.start.key, walk(house, "open fridge 1", state=direct)[0].key)


class Dark(Thicket):
    """Where all ways look the same."""

    def start(self, task):
        return DarkPlay(self)


class DarkPlay(ThicketPlay):
    def fork(self):
        return DarkPlay(self._world, self._path)

    def _look(self):
        return replace(super()._look(), text=f"Turn {len(self._path)}.")


def test_moments_that_look_the_same_are_one_where_no_state_tells():
    search = searched(Dark(depth=3, width=4, goals=set()), budget=200)
    (child,) = search.root.children
    assert child.repeats > 0


def thicket_of_payoffs(seed):
    """Payoffs drawn for all 125 ends; the best one is the optimum."""
    rng = Random(seed)
    world = Thicket(depth=3, width=5, goals=set())
    payoff = {end: rng.uniform(-0.9, 0.9) for end in world.ends()}
    return world, payoff, max(payoff, key=payoff.__getitem__)


def test_an_oracle_finds_the_optimum_of_125_ends_within_its_budget_and_beats_re_ranking():
    budget, found, reranked = 60, 0, 0
    for seed in range(40):
        world, payoff, best = thicket_of_payoffs(seed)
        oracle = Knowing(lambda path, best=best: 1.0 if best[: len(path)] == path else -1.0)
        ends = Knowing(payoff.__getitem__)
        how = {"fewest": 5, "fewest_first": 5, "misses": 50, "exploration": 0.2, "at_once": 2}
        search = searched(
            world,
            seed,
            critics=critics(value=oracle, outcome=ends),
            budget=budget,
            rollouts=0,
            **how,
        )
        linear = Thicket(depth=3, width=5, goals=set(), forks=False)
        rank = searched(linear, seed, critics=critics(outcome=ends), budget=budget, **how)
        assert search.spent.steps <= budget
        assert rank.spent.steps <= budget
        found += path_of(search.found) == best
        reranked += path_of(rank.found) == best
    assert found >= 38
    assert reranked <= 12


def best_ends_found(peak, trees=30):
    """Count the trees whose best end is found, led by a critic that knows the best end below."""
    found = 0
    for seed in range(trees):
        world, payoff, best = thicket_of_payoffs(seed)

        def below(path, payoff=payoff):
            return max(worth for end, worth in payoff.items() if end[: len(path)] == path)

        judged = critics(value=Knowing(below), outcome=Knowing(payoff.__getitem__))
        how = {"fewest": 5, "fewest_first": 5, "misses": 50, "exploration": 0.2, "at_once": 2}
        search = searched(world, seed, critics=judged, budget=60, rollouts=0, peak=peak, **how)
        found += path_of(search.found) == best
    return found


def test_one_good_branch_among_bad_ones_is_followed_by_its_peak_and_not_by_the_mean():
    assert best_ends_found(peak=1.0) >= 28
    assert best_ends_found(peak=0.0) <= 18


def test_a_house_is_simulated_at_2000_steps_a_second_of_the_processor():
    assert steps_per_s(replace(QUICK, searches=1)) >= 2_000  # about 9,000 where it was written


def test_re_ranking_makes_whole_attempts_and_takes_the_one_judged_best():
    world = Thicket(depth=3, width=5, goals=set(), forks=False)
    payoff = {end: Random(str(end)).uniform(-0.9, 0.9) for end in world.ends()}
    ends = Knowing(payoff.__getitem__)
    search = searched(world, critics=critics(outcome=ends), budget=30, limits=Limits(steps=3))
    assert not search.forks
    assert search.nodes == 1
    assert search.root.visits == ends.asked == 10
    assert search.best.outcome == max(each.outcome for each in (*search.failed, *search.solved))


def test_with_a_critic_that_knows_nothing_a_search_is_as_good_as_the_policy():
    """No free lunch: what is added is only what the critics know."""
    rng, solved, total = Random(5), 0, 300
    for seed in range(total):
        world = Thicket(depth=3, width=4, goals=set(rng.sample(sorted(ends(4)), 20)))
        search = searched(world, seed, critics=critics(outcome=by_chance(seed)), budget=40)
        solved += search.found.ending is Ending.SOLVED
    low, high = wilson(solved / total, total)
    assert low <= 20 / 64 <= high


def ends(width):
    return Thicket(depth=3, width=width, goals=set()).ends()


def test_the_world_as_critic_ends_the_search_at_the_first_solution():
    world = Thicket(depth=3, width=3, goals={(1, 2, 0)})
    search = searched(world, critics=critics(outcome=WorldCritic()), budget=400)
    assert search.why is Why.SURE
    assert path_of(search.found) == (1, 2, 0)
    assert search.found.ending is Ending.SOLVED
    assert search.spent.steps < 150


def test_a_search_never_spends_more_than_its_budget_nor_holds_more_than_its_nodes():
    world = Thicket(depth=30, width=4, goals=set())
    for budget in (1, 7, 100, 333):
        search = searched(world, budget, critics=critics(outcome=WorldCritic()), budget=budget)
        assert search.spent.steps == budget
        assert search.why is Why.SPENT
    full = searched(world, critics={}, budget=5_000, nodes=50)
    assert full.why is Why.FULL
    assert sum(1 for _ in full.root.walk()) == full.nodes == 50


def test_the_same_seed_finds_the_same_whoever_answers_first():
    world = Thicket(depth=5, width=3, goals={(0, 1, 2, 1, 0)})
    judged = critics(outcome=WorldCritic(), value=by_chance(1))

    def tree(policy, seed=4):
        search = searched(world, seed, policy, critics=judged, budget=120)
        return [(path(n), n.visits, n.total, n.repeats) for n in search.root.walk()], search.found

    assert tree(RandomPolicy()) == tree(Dawdling(RandomPolicy()))
    assert tree(RandomPolicy()) != tree(RandomPolicy(), seed=5)


def test_branches_are_grown_together():
    policy = Dawdling(RandomPolicy())
    world = Thicket(depth=8, width=4, goals=set())
    searched(world, policy=policy, budget=400, at_once=8, critics=critics(value=by_chance(2)))
    assert policy.most_at_once == 8


def test_an_option_is_as_many_actions_as_are_allowed_or_until_the_rule_stops_it():
    world = Thicket(depth=6, width=2, goals=set())
    pairs = searched(world, budget=60, option=2)
    assert {len(n.option) for n in pairs.root.walk() if n.parent} == {2}
    until = searched(world, budget=60, option=6, stop=lambda steps, _: steps[-1].action == "1")
    for node in until.root.walk():
        assert all(step.action == "0" for step in node.option[:-1])


def test_a_cancelled_search_leaves_a_whole_tree_and_a_valid_episode():
    world = Thicket(depth=12, width=4, goals=set())
    policy = Dawdling(RandomPolicy())
    search = a_search(world, policy=policy, critics=critics(outcome=WorldCritic()), budget=10_000)

    async def cut():
        task = asyncio.create_task(search.run())
        while search.nodes < 12:
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(cut())
    assert search.why is None
    assert all(node.under_way == 0 for node in search.root.walk())
    episode = episode_of(search, search.found, "random", NOON)
    assert episode.steps
    assert episode.ending in (Ending.FAILED, Ending.TRUNCATED)
    assert replayed(world, episode) == episode.closing


def replayed(world, episode):
    play = world.start(episode.task)
    for step in episode.steps:
        assert play.observation.text == step.observation
        play.step(step.action)
    return play.observation.text


def test_a_search_that_is_told_to_stop_or_late_ends_with_what_it_has():
    world = Thicket(depth=12, width=4, goals=set())
    search = a_search(world, budget=10_000)
    search.stop()
    asyncio.run(search.run())
    assert search.why is Why.STOPPED
    assert search.found.ending is Ending.TRUNCATED
    ticks = count()
    late = searched(
        world,
        budget=10_000,
        limits=Limits(steps=30, seconds=20.0),
        clock=lambda: NOON + timedelta(seconds=next(ticks)),
    )
    assert late.why is Why.LATE
    assert late.nodes > 1


def test_a_policy_that_names_no_action_ends_the_search_instead_of_hanging_it():
    world = Thicket(depth=3, width=3, goals=set())
    search = searched(world, policy=Scripted(lambda _: "nonsense"), budget=100)
    assert search.why is Why.KNOWN
    assert search.nodes == 1
    assert search.found.steps == ()


class Counting(RandomPolicy):
    async def complete(self, turn):
        said = await super().complete(turn)
        return Completion(text=said.text, prompt_tokens=10, completion_tokens=2)


def test_what_a_search_cost_is_counted_rollouts_included():
    world = Thicket(depth=4, width=3, goals=set())
    search = searched(
        world, policy=Counting(), critics=critics(outcome=WorldCritic()), budget=40, rollouts=2
    )
    spent = search.spent
    assert spent.turns >= spent.steps > 0
    assert (spent.prompt_tokens, spent.completion_tokens) == (10 * spent.turns, 2 * spent.turns)


def test_a_house_is_searched_to_its_end_where_the_policy_alone_fails():
    world = Household.generated(kinds=["pick_and_place_simple"], max_receptacles=4, train=2)
    task = world.tasks(Split.TRAIN)[0]
    gold = world.gold(task)

    def falters(turn):
        written = sum(message.origin == "policy" for message in turn.messages)
        known = gold[written] if written < len(gold) else ""
        good = known in turn.admissible and turn.seed % 2
        return known if good else Random(turn.seed).choice(turn.admissible)

    search = searched(
        world,
        policy=Scripted(falters),
        critics=critics(outcome=WorldCritic()),
        budget=400,
        limits=Limits(steps=2 * len(gold)),
    )
    assert search.found.ending is Ending.SOLVED


def test_what_was_tried_at_the_same_sight_is_not_offered_again_as_when_a_policy_acts_alone():
    world = Household.generated(kinds=["pick_and_place_simple"], max_receptacles=4, train=2)
    judged = critics(outcome=WorldCritic())
    search = searched(world, critics=judged, budget=200, limits=Limits(steps=40))
    again = searched(world, critics=judged, budget=200, limits=Limits(steps=40, repeat=True))
    assert repeats(search) == 0
    assert repeats(again) > 0


def repeats(search):
    """Count the steps that repeat an action at a sight while another one was left."""
    count = 0
    for finished in (*search.failed, *search.solved):
        done = set()
        for step in finished.branch.steps:
            count += (step.observation, step.action) in done and len(step.admissible) > 1
            done.add((step.observation, step.action))
    return count
