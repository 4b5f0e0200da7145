"""Tasks that are seeds: each split has seeds of its own, and no two tasks open alike.

A world that draws itself from a seed has as many tasks as one likes, but a small one repeats
itself; what was practised would then be asked in the exam.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from environments.episode import Split, Task
from environments.errors import UnknownNameError

FIRST_SEEDS = {Split.TRAIN: 0, Split.DEV: 1_000_000, Split.TEST: 2_000_000}
MOST_LOOKED_AT = 20
"""Seeds looked at for each task wanted: a small world has few openings, and then few tasks."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a seed opens with."""

    sight: Hashable  # two seeds with the same one are the same task
    goal: str


class SeededTasks:
    """The tasks of one environment, listed kind by kind."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._tasks: dict[str, Task] = {}

    def add(self, kind: str, counts: tuple[int, int, int], look: Callable[[int], Opening]) -> None:
        """List tasks of a kind.

        Args:
            kind: their kind; the ids are KIND/SEED.
            counts: tasks to practise on, to decide by and to report, as far as there are so many.
            look: tells what a seed opens with.
        """
        seen: set[Hashable] = set()
        for split, wanted in zip(Split, counts, strict=True):
            seeds = islice(count(FIRST_SEEDS[split]), wanted * MOST_LOOKED_AT)
            fresh = _distinct(((seed, look(seed)) for seed in seeds), seen)
            for seed, opening in islice(fresh, wanted):
                id = f"{kind}/{seed}"
                self._tasks[id] = Task(
                    id=id, environment=self._environment, split=split, kind=kind, goal=opening.goal
                )

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return tuple(task for task in self._tasks.values() if task.split is split)

    def task(self, id: str) -> Task:
        if id not in self._tasks:
            kinds = dict.fromkeys(task.kind for task in self._tasks.values())
            raise UnknownNameError("task", id, tuple(f"{kind}/SEED" for kind in kinds))
        return self._tasks[id]


def seed_of(task: Task) -> int:
    """Return the seed that a task is."""
    return int(task.id.rpartition("/")[2])


def _distinct(
    looked: Iterable[tuple[int, Opening]], seen: set[Hashable]
) -> Iterator[tuple[int, Opening]]:
    """Give the openings that were not seen before."""
    for seed, opening in looked:
        if opening.sight not in seen:
            seen.add(opening.sight)
            yield seed, opening
