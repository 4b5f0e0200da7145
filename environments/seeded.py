"""Tasks that are seeds: each split has seeds of its own, and no two tasks open alike.

A world that draws itself from a seed has as many tasks as one likes, but a small one repeats
itself; what was practised would then be asked in the exam.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from environments.catalogue import Catalogue
from environments.episode import Split, Task

FIRST_SEEDS = {Split.TRAIN: 0, Split.DEV: 1_000_000, Split.TEST: 2_000_000}
MOST_LOOKED_AT = 20
"""Seeds looked at for each task wanted: a small world has few openings, and then few tasks."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a seed opens with."""

    sight: Hashable  # two seeds with the same one are the same task
    goal: str


class SeededCatalogue(Catalogue):
    """The tasks of an environment, listed kind by kind."""

    name: str

    def _add_kind(
        self, kind: str, counts: tuple[int, int, int], look: Callable[[int], Opening]
    ) -> None:
        """List tasks of a kind.

        Args:
            kind: their kind; the ids are KIND/SEED.
            counts: tasks to practise on, to decide by and to report, as far as there are so many.
            look: tells what a seed opens with.
        """
        self._forms += (f"{kind}/SEED",)
        seen: set[Hashable] = set()
        for split, wanted in zip(Split, counts, strict=True):
            seeds = islice(count(FIRST_SEEDS[split]), wanted * MOST_LOOKED_AT)
            fresh = _distinct(((seed, look(seed)) for seed in seeds), seen)
            for seed, opening in islice(fresh, wanted):
                id, goal = f"{kind}/{seed}", opening.goal
                self._add(Task(id=id, environment=self.name, split=split, kind=kind, goal=goal))


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
