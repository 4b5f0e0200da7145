"""Trees whose every leaf is known, as worlds to search, and critics of known quality."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from random import Random
from typing import Any

from agent.attempt import Attempt, Limits
from agent.scripted import RandomPolicy
from agent.search.critics import Aspect, Weighed
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.tree import Branch
from agent.search.walk import Scene
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.guarded import GuardedPlay
from environments.seed import derive

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

Path = tuple[int, ...]


class Thicket:
    """So many turns, so many ways at each; some ends are the goal."""

    name = "thicket"
    instructions = "Find the way."

    def __init__(self, *, depth: int, width: int, goals: set[Path], forks: bool = True) -> None:
        self.depth, self.width, self.goals = depth, width, goals
        self._play = ThicketPlay if forks else LinearPlay

    def tasks(self, split: Split) -> Sequence[Task]:
        return (self.task(f"thicket/{split}"),)

    def task(self, id: str) -> Task:
        split = Split(id.rpartition("/")[2])
        return Task(id=id, environment=self.name, split=split, kind="way", goal="Get out.")

    def start(self, task: Task):
        return self._play(self)

    def gold(self, task: Task):
        return None

    def ends(self):
        return product(range(self.width), repeat=self.depth)


class LinearPlay(GuardedPlay):
    """A play that cannot be copied."""

    def __init__(self, world: Thicket, path: Path = ()) -> None:
        self._world, self._path = world, path
        super().__init__(self._look())

    def _after(self, action: str) -> Observation:
        if action in self._observation.admissible:
            self._path = (*self._path, int(action))
        return self._look()

    def _look(self) -> Observation:
        text = f"You have gone {self._path}."
        if len(self._path) < self._world.depth:
            return ongoing(text, [str(way) for way in range(self._world.width)])
        return solved(text) if self._path in self._world.goals else failed(text)


class ThicketPlay(LinearPlay):
    def fork(self) -> "ThicketPlay":
        return ThicketPlay(self._world, self._path)


class Ring(Thicket):
    """Walk left or right around a ring: ways that differ come to the same places."""

    def __init__(self, *, places: int, goal: int) -> None:
        super().__init__(depth=0, width=2, goals=set())
        self.places, self.goal = places, goal

    def start(self, task: Task):
        return RingPlay(self, 0)


class RingPlay(GuardedPlay):
    def __init__(self, world: Ring, place: int) -> None:
        self._world, self.state = world, place
        super().__init__(self._look())

    def fork(self) -> "RingPlay":
        return RingPlay(self._world, self.state)

    def _after(self, action: str) -> Observation:
        self.state = (self.state + (1 if action == "right" else -1)) % self._world.places
        return self._look()

    def _look(self) -> Observation:
        if self.state == self._world.goal:
            return solved("The door.")
        return ongoing(f"Place {self.state}.", ["left", "right"])


def path_of(branch: Branch) -> Path:
    return tuple(int(step.action) for step in branch.steps)


class Knowing:
    """A critic that is a function of the path."""

    def __init__(self, judge: Callable[[Path], float], name: str = "knowing") -> None:
        self.name, self._judge, self.asked = name, judge, 0

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        self.asked += len(branches)
        return [self._judge(path_of(branch)) for branch in branches]


def by_chance(seed: int) -> Knowing:
    """A critic that knows nothing: a number drawn for each path."""
    return Knowing(lambda path: Random(derive(seed, str(path))).uniform(-0.9, 0.9), "chance")


def critics(**named: Any):
    return {Aspect(aspect): Weighed(critic) for aspect, critic in named.items()}


def an_attempt(world: Any, seed: int = 0, split: Split = Split.TRAIN) -> Attempt:
    return Attempt(id=f"a{seed}", task=world.tasks(split)[0], seed=seed, run="r")


def a_search(world: Any, seed: int = 0, policy: Any = None, **how: Any) -> Search:
    policy = policy or RandomPolicy()
    scene = Scene(
        environment=world,
        policy=policy,
        fast=how.pop("fast", policy),
        critics=how.pop("critics", {}),
        limits=how.pop("limits", Limits(steps=30)),
        stop=how.pop("stop", None),
    )
    clock = how.pop("clock", lambda: NOON)
    split = how.pop("split", Split.TRAIN)
    return Search(scene, an_attempt(world, seed, split), SearchSettings(**how), clock)


def searched(world: Any, seed: int = 0, policy: Any = None, **how: Any) -> Search:
    search = a_search(world, seed, policy, **how)
    asyncio.run(search.run())
    return search
