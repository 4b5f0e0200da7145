"""What to practise next, and which failures to ask a critic about. Pure decisions.

Tasks that are always or never solved teach little, since all attempts at them are alike (their
groups have no advantage); types that fail need work all the same, and whatever is never tried
again is forgotten. So a round mixes all three.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from environments.episode import Task
from memory.records import EpisodeRow


@dataclass(frozen=True, slots=True)
class Tried:
    """How it went with a task, or with all of a type."""

    solved: int = 0
    attempts: int = 0

    @property
    def rate(self) -> float:
        """Return the share solved, smoothed: 1/2 where nothing was tried."""
        return (self.solved + 1) / (self.attempts + 2)

    def and_(self, solved: bool) -> "Tried":
        """Return the count with one more attempt."""
        return Tried(self.solved + solved, self.attempts + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What a round is made of; what is left of the shares is of everything."""

    failing: float  # share of tasks drawn by how much their type fails
    middling: float  # share of tasks that were solved at some attempts and not at others

    def __post_init__(self) -> None:
        if self.failing + self.middling > 1:
            raise ValueError(f"shares of {self.failing} and {self.middling} are more than all")


def tried(rows: Iterable[EpisodeRow]) -> dict[str, Tried]:
    """Return how it went with each task."""
    found: dict[str, Tried] = {}
    for row in rows:
        found[row.task_id] = found.get(row.task_id, Tried()).and_(row.ending.value == "solved")
    return found


def chosen(
    tasks: Sequence[Task], before: Mapping[str, Tried], mix: Mix, count: int, rng: Random
) -> tuple[Task, ...]:
    """Return the tasks to practise, each once; where a sort of them runs out, of everything.

    Args:
        tasks: of the train split.
        before: how it went so far, by task.
        mix: how much of what.
        count: how many; no more than there are.
        rng: draws them.
    """
    middling = {
        task.id: had.rate * (1 - had.rate)
        for task in tasks
        if (had := before.get(task.id)) is not None and 0 < had.solved < had.attempts
    }
    types, sizes = _types(tasks, before), Counter(task.kind for task in tasks)
    failing = {task.id: (1 - types[task.kind].rate) / sizes[task.kind] for task in tasks}
    everything = {task.id: 1.0 for task in tasks}
    picked: dict[str, None] = {}
    for weights, share in ((middling, mix.middling), (failing, mix.failing), (everything, 1.0)):
        room = min(round(share * count), count - len(picked))
        picked |= dict.fromkeys(_drawn(weights, set(picked), room, rng))
    by_id = {task.id: task for task in tasks}
    return tuple(by_id[id] for id in picked)


def stratified(failures: Iterable[EpisodeRow], budget: int) -> tuple[EpisodeRow, ...]:
    """Return the failures worth a critic's time: evenly over task types, the worst of each first.

    Severity is how long it went wrong: an attempt that ran out of steps shows more than one that
    ended soon. The counts of two types differ by at most one until one is exhausted.
    """
    types: dict[str, list[EpisodeRow]] = {}
    for row in failures:
        types.setdefault(row.kind, []).append(row)
    ranked = [
        sorted(rows, key=lambda row: (row.reward, -row.steps, row.id))
        for _, rows in sorted(types.items())
    ]
    turns = (row for turn in zip_longest(*ranked) for row in turn if row is not None)
    return tuple(row for row, _ in zip(turns, range(budget), strict=False))


def _types(tasks: Sequence[Task], before: Mapping[str, Tried]) -> dict[str, Tried]:
    found: dict[str, Tried] = {}
    for task in tasks:
        had, own = found.get(task.kind, Tried()), before.get(task.id, Tried())
        found[task.kind] = Tried(had.solved + own.solved, had.attempts + own.attempts)
    return found


def _drawn(weights: Mapping[str, float], without: set[str], count: int, rng: Random) -> list[str]:
    """Return so many ids, each with a chance in proportion to its weight, none twice.

    The earliest of exponential clocks, one for each id (Efraimidis and Spirakis 2006).
    """
    clocks = {id: rng.expovariate(weight) for id, weight in weights.items() if weight > 0}
    return sorted((id for id in clocks if id not in without), key=clocks.__getitem__)[:count]
