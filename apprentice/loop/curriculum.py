"""What to practise next, and which failures to ask a critic about. Pure decisions.

Tasks that are always or never solved teach little, since all attempts at them are alike (their
groups have no advantage); types that fail need work all the same, and whatever is never tried
again is forgotten. So a round mixes all three: those whose attempts will likely differ, those of
types that fail, and a share of everything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from apprentice.loop.chances import Tried, chances, rates
from environments.episode import Task
from memory.store.records import EpisodeRow

CERTAIN = 0.01
"""Odds of 100 are certainty enough: beyond, one task would be practised and no other."""

KEEN = 3
"""Power to which odds count. In six simulated rounds of 12 tasks of 120, groups differ in 46 % by
an even choice, in 50, 55, 56 and 58 % at 1, 2, 3 and 50; the higher, the fewer tasks are ever met:
52, 47, 45 and 43 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What a round is made of; what is left of the shares is of everything."""

    failing: float  # share of tasks drawn by how much their type fails
    middling: float  # share of tasks drawn by how surely attempts at them will differ
    attempts: int = 8  # at each task

    def __post_init__(self) -> None:
        if self.failing + self.middling > 1:
            raise ValueError(f"shares of {self.failing} and {self.middling} are more than all")


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
    fails, sizes = rates(tasks, before), Counter(task.kind for task in tasks)
    failing = {task.id: (1 - fails[task.kind]) / sizes[task.kind] for task in tasks}
    believed = chances(tasks, before)
    middling = {id: _odds(each.differ(mix.attempts)) ** KEEN for id, each in believed.items()}
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


def _odds(chance: float) -> float:
    """Return how many times likelier something is than not: near certainty counts by far most."""
    return chance / max(1 - chance, CERTAIN)


def _drawn(weights: Mapping[str, float], without: set[str], count: int, rng: Random) -> list[str]:
    """Return so many ids, each with a chance in proportion to its weight, none twice.

    The earliest of exponential clocks, one for each id (Efraimidis and Spirakis 2006).
    """
    clocks = {id: rng.expovariate(weight) for id, weight in weights.items() if weight > 0}
    return sorted((id for id in clocks if id not in without), key=clocks.__getitem__)[:count]
