"""What a search is worth and what it costs: in houses, on a maze of known truth, with a model.

In houses a policy plays alone, then with a search that asks the world how its branches end, then
with as much re-ranked instead. By default the policy is one that knows the way and forgets it now
and then (`--error`); `--policy local:MODEL@ADAPTER` takes a trained one. On the maze the value is
biased, the process judge errs and the outcome judge never does; what the scores of the first two
mean is told by searches of other mazes, and each of the three is left out once. `--quick` plays
fewer games and leaves the model out.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import gettempdir
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from agent.attempt import Attempt, Limits
from agent.scripted import RandomPolicy, Scripted
from agent.search.calibration import calibrated, evidence
from agent.search.critics import WORLD_ALONE, Aspect, Critics
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.walk import Scene, Walk
from bench.figures import Figure, flags, report
from bench.maze import MAZE_SETTINGS, OTHERS, Known, critics_of, maze
from environments.environment import Environment, Observation, Play
from environments.episode import Ending, Split, Task
from environments.household.household import Household
from environments.seed import derive
from environments.transcript import Origin, Turn
from memory.proof.intervals import paired, wilson

if TYPE_CHECKING:
    from agent.policy import Policy

LANES = 16
ERRING = (Aspect.VALUE, Aspect.PROCESS)
BUDGET = 200  # simulated steps an episode
STEPS = 30  # of an episode
ERROR = 0.75  # chance that the wavering policy forgets what it knew: alone it solves 20 to 60 %
KIND, RECEPTACLES = "pick_and_place_simple", 6  # as in bench/learning.py

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
"""Searches here have no time limit, so any clock will do."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    games: int
    mazes: int
    searches: int  # of the throughput of the world, 1,000 steps each
    turns: int  # asked of the model for the throughput of batches; 0: it is left out


FULL = Size(games=60, mazes=300, searches=20, turns=64)
QUICK = Size(games=16, mazes=60, searches=4, turns=0)


@dataclass(slots=True)
class Wavering:
    """Knows the way and goes back to it, but forgets at some steps and does anything instead."""

    world: Environment
    tasks: Sequence[Task]
    error: float
    _ways: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __post_init__(self) -> None:
        for task in self.tasks:
            self._ways[self.world.start(task).observation.text] = self.world.gold(task) or ()

    def __call__(self, turn: Turn) -> str:
        rng = Random(turn.seed)
        written = [each.text for each in turn.messages if each.origin is Origin.POLICY]
        opened = next(each.text for each in turn.messages if each.origin is Origin.TASK)
        known = self._next(self._ways[opened], written, turn.admissible)
        forgets = known is None or rng.random() < self.error
        return rng.choice(turn.admissible) if forgets or known is None else known

    def _next(
        self, way: Sequence[str], written: Sequence[str], admissible: Sequence[str]
    ) -> str | None:
        """Return the first action of the way that is not done; where it cannot be, go there."""
        done = 0
        for action in written:
            done += done < len(way) and action == way[done]
        if done == len(way):
            return None
        if way[done] in admissible:
            return way[done]
        goings = [action for action in way[:done] if action.startswith("go to ")]
        return goings[-1] if goings and goings[-1] in admissible else None


def alone(world: Environment, policy: Policy, tasks: Sequence[Task], lanes: int) -> float:
    """Return the share of tasks that the policy solves by itself, one attempt each."""
    scene = _scene(world, policy, {})

    async def one(number: int, task: Task) -> bool:
        walk = Walk(
            scene=scene,
            attempt=_attempt(task, number),
            lane=str(number),
            play=world.start(task),
            steps=[],
            left=STEPS,
        )
        async with room:
            await walk.to_an_end(policy, derive(number, "alone"))
        return walk.ending is Ending.SOLVED

    async def play() -> list[bool]:
        return await asyncio.gather(*(one(*each) for each in enumerate(tasks)))

    room = asyncio.Semaphore(lanes)
    return _share(asyncio.run(play()))


def with_search(
    world: Environment, policy: Policy, tasks: Sequence[Task], settings: SearchSettings
) -> tuple[float, list[Search]]:
    """Return the share of tasks solved by the way that a search finds, and the searches."""
    searches = [
        Search(_scene(world, policy, WORLD_ALONE), _attempt(task, at), settings, lambda: NOON)
        for at, task in enumerate(tasks)
    ]

    async def play() -> None:
        for search in searches:
            await search.run()

    asyncio.run(play())
    return _solved(searches), searches


@dataclass(frozen=True, slots=True)
class Unforkable:
    """A world whose plays cannot be copied, so that a search of it re-ranks whole attempts."""

    world: Environment
    name: str = "unforkable"

    @property
    def instructions(self) -> str:
        return self.world.instructions

    def tasks(self, split: Split) -> Sequence[Task]:
        return self.world.tasks(split)

    def task(self, id: str) -> Task:
        return self.world.task(id)

    def start(self, task: Task) -> Play:
        return OneWay(self.world.start(task))

    def gold(self, task: Task) -> tuple[str, ...] | None:
        return self.world.gold(task)


@dataclass(slots=True)
class OneWay:
    play: Play

    @property
    def observation(self) -> Observation:
        return self.play.observation

    def step(self, action: str) -> Observation:
        return self.play.step(action)

    def close(self) -> None:
        self.play.close()


def reranked(
    world: Environment, policy: Policy, searches: Sequence[Search]
) -> tuple[float, list[Search]]:
    """Return the share solved by the best of whole attempts, for as many turns of the policy.

    As many as each search took, its proposals that led nowhere new included.
    """
    found: list[Search] = []
    for search in searches:
        settings = replace(search.settings, budget=search.spent.turns)
        task = [search.attempt.task]
        found += with_search(Unforkable(world), policy, task, settings)[1]
    return _solved(found), found


def houses(options: Namespace, size: Size) -> dict[str, Figure]:
    """Return what the policy, the search and re-ranking solve in the same houses."""
    world = Household.generated(kinds=[KIND], max_receptacles=RECEPTACLES)
    if options.games:
        world = Household.from_games(options.games)
    tasks = world.tasks(Split.DEV)[: size.games]
    policy = _policy(options, world, tasks)
    lanes = policy.width
    settings = SearchSettings(budget=BUDGET, at_once=min(8, lanes))
    by_itself = alone(world, policy, tasks, lanes)
    share, searches = with_search(world, policy, tasks, settings)
    ranked, others = reranked(world, policy, searches)
    asyncio.run(policy.close())
    low, high = wilson(share, len(tasks))
    return {
        "policy": policy.name if options.policy else f"wavering, error {options.error}",
        "games": len(tasks),
        "solved_policy": by_itself,
        "solved_search": share,
        "solved_search_low": float(low),
        "solved_search_high": float(high),
        "solved_rerank_equal_tokens": ranked,
        "steps_per_search": _mean([each.spent.steps for each in searches]),
        "turns_per_search": _mean([each.spent.turns for each in searches]),
        "turns_per_rerank": _mean([each.spent.turns for each in others]),
    }


def mazes(size: Size) -> dict[str, Figure]:
    """Return what is solved with all three critics, and with each of them left out.

    And how far the words of the two that err are from what came of them, before and after they are
    read through a curve; and what is solved when all are taken at their word.
    """
    before = _opinions(_mazes(OTHERS, {}))
    found = {aspect: evidence(said) for aspect, said in before.items() if aspect in ERRING}
    known = {aspect: told for aspect, told in found.items() if told is not None}
    numbers = range(size.mazes)
    whole = _mazes(numbers, known)
    figures: dict[str, Figure] = {"mazes": size.mazes, "solved_with_all_critics": _solved(whole)}
    for aspect in Aspect:
        less = _mazes(numbers, known, without=aspect)
        figures[f"solved_without_{aspect}"] = _solved(less)
        figures[f"margin_of_{aspect}"] = _margin(whole, less)
    figures["solved_at_their_word"] = _solved(_mazes(numbers, {}))
    for aspect, said in before.items():
        if aspect in ERRING:
            told = calibrated(aspect, said)
            figures[f"calibration_error_{aspect}"] = told.error
            figures[f"calibration_error_{aspect}_after"] = told.error_after
    return figures


def _opinions(searches: Sequence[Search]) -> dict[Aspect, list[tuple[float, float]]]:
    return {
        aspect: [each for search in searches for each in search.opinions.get(aspect, ())]
        for aspect in Aspect
    }


def _margin(whole: Sequence[Search], less: Sequence[Search]) -> str:
    """Return by how much more is solved of the same mazes, with the paired 95 % interval."""
    ends = Counter(
        (a.found.ending is Ending.SOLVED, b.found.ending is Ending.SOLVED)
        for a, b in zip(whole, less, strict=True)
    )
    wins, losses = ends[True, False], ends[False, True]
    low, high = paired(wins, losses, len(whole)).tolist()
    return f"{(wins - losses) / len(whole):+.3f} ({low:+.3f} to {high:+.3f})"


def _mazes(numbers: range, known: Known, without: Aspect | None = None) -> list[Search]:
    searches: list[Search] = []
    for number in numbers:
        world = maze(number)
        held = {k: v for k, v in critics_of(world, number, known).items() if k is not without}
        scene = _scene(world, RandomPolicy(), held)
        attempt = _attempt(world.tasks(Split.TRAIN)[0], number)
        search = Search(scene, attempt, MAZE_SETTINGS, lambda: NOON)
        asyncio.run(search.run())
        searches.append(search)
    return searches


def steps_per_s(size: Size) -> float:
    """Return how many household steps a search simulates a second, with a policy that costs none.

    A second of processor time: nothing here waits, and on a busy machine a clock measures others.
    """
    world = Household.generated()
    settings = SearchSettings(budget=1_000)
    tasks = world.tasks(Split.TRAIN)[: size.searches]
    for task in tasks:
        world.gold(task)  # compiles the house: not what is measured
    began = process_time()
    _, searches = with_search(world, RandomPolicy(), tasks, settings)
    return sum(each.spent.steps for each in searches) / (process_time() - began)


def batched_ratio(options: Namespace, size: Size) -> float | None:
    """Return how much faster branches grow together than one at a time, with the local model."""
    if not size.turns:
        return None
    speeds: dict[int, float] = {}
    world = Household.generated(kinds=[KIND], max_receptacles=RECEPTACLES)
    task = world.tasks(Split.TRAIN)[0]
    for at_once in (1, LANES):
        policy = _local(options.policy or "local", options.cache, lanes=at_once)
        settings = SearchSettings(
            budget=size.turns,
            at_once=at_once,
            fewest=LANES,
            fewest_first=LANES,
            most=LANES,
            until_solved=False,
        )
        scene = _scene(world, policy, WORLD_ALONE, steps=size.turns // LANES)
        search = Search(scene, _attempt(task, 0), settings, lambda: NOON)
        began = perf_counter()
        asyncio.run(search.run())
        speeds[at_once] = search.spent.turns / (perf_counter() - began)
        asyncio.run(policy.close())
    return speeds[LANES] / speeds[1]


def _policy(options: Namespace, world: Environment, tasks: Sequence[Task]) -> Policy:
    if options.policy:
        return _local(options.policy, options.cache, lanes=LANES)
    return Scripted(Wavering(world, tasks, options.error))


def _local(use: str, cache: Path, *, lanes: int) -> Policy:
    from apprentice.build import make_policy
    from apprentice.settings.config import load

    acting = {"use": use, "temperature": 1.0, "width": lanes}
    return make_policy(load({"policy": acting, "cache": cache}))


def _scene(world: Environment, policy: Policy, critics: Critics, *, steps: int = STEPS) -> Scene:
    return Scene(
        environment=world,
        policy=policy,
        fast=policy,
        critics=critics,
        limits=Limits(steps=steps),
    )


def _attempt(task: Task, seed: int) -> Attempt:
    return Attempt(id=f"{task.id}#{seed}", task=task, seed=seed)


def _solved(searches: Sequence[Search]) -> float:
    return _share([each.found.ending is Ending.SOLVED for each in searches])


def _share(outcomes: Sequence[bool]) -> float:
    return sum(outcomes) / len(outcomes)


def _mean(counts: Sequence[int]) -> float:
    return sum(counts) / len(counts)


def main() -> None:
    parser = flags(__doc__)
    parser.add_argument("--policy", help="local:MODEL@ADAPTER or local:MODEL; else a script")
    parser.add_argument("--error", type=float, default=ERROR, help="of the scripted policy")
    parser.add_argument("--games", type=Path, help="ALFWorld games instead of generated ones")
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "apprentice-bench")
    parser.add_argument("--mazes", type=int, help="how many; nothing else is measured")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    if options.mazes:
        report("search", mazes(replace(size, mazes=options.mazes)), json_path=options.json)
        return
    figures: Mapping[str, Figure] = {
        **houses(options, size),
        **mazes(size),
        "simulated_steps_per_s": steps_per_s(size),
        "batched_ratio": batched_ratio(options, size),
    }
    report("search", figures, json_path=options.json, packages=("torch", "transformers"))


if __name__ == "__main__":
    main()
