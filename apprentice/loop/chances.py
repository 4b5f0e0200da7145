"""How likely each task is solved now, and that attempts at it end differently: estimated.

A task that was tried twice is told more by the others of its type than by itself, so its own record
is shrunk towards them (empirical Bayes; Efron and Morris 1975), as far as the tasks of this world
are alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import lgamma, prod

from environments.episode import Ending, Task
from memory.store.records import EpisodeRow

REMEMBERED = 16
"""Newest attempts at a task that count: two rounds of them. Older ones were another policy's."""

BORROWED = 2.0
"""Attempts that all types together are worth to one type."""

ALIKE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""How many attempts the type may be worth to a task; the likeliest of them is taken."""

UNKNOWN = 2.0
"""Taken where nothing was tried: every share of a type that is solved by halves is as likely."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How it went with a task, or with all of a type."""

    solved: float = 0
    attempts: float = 0

    @property
    def failed(self) -> float:
        return self.attempts - self.solved

    def and_(self, other: "Tried") -> "Tried":
        return Tried(self.solved + other.solved, self.attempts + other.attempts)

    def shrunk(self, towards: float, worth: float) -> float:
        """Return the share solved, as if so many attempts more had been solved so often."""
        return (self.solved + worth * towards) / (self.attempts + worth)


NEVER = Tried()


@dataclass(frozen=True, slots=True)
class Chance:
    """What is believed of the share of attempts at a task that solve it: a beta distribution."""

    solved: float  # its first parameter
    failed: float  # its second

    def differ(self, attempts: int) -> float:
        """Return the chance that of so many attempts some solve the task and some do not."""
        return 1 - self._all(self.solved, attempts) - self._all(self.failed, attempts)

    def _all(self, so: float, attempts: int) -> float:
        whole = self.solved + self.failed
        return prod((so + n) / (whole + n) for n in range(attempts))


def tried(rows: Iterable[EpisodeRow]) -> dict[str, Tried]:
    """Return how it went with each task, by its newest attempts.

    Args:
        rows: of episodes, newest first; broken ones say nothing.
    """
    seen: Counter[str] = Counter()
    solved: Counter[str] = Counter()
    for row in rows:
        if row.ending is not Ending.BROKEN and seen[row.task_id] < REMEMBERED:
            seen[row.task_id] += 1
            solved[row.task_id] += row.ending is Ending.SOLVED
    return {task: Tried(solved[task], made) for task, made in seen.items()}


def rates(tasks: Sequence[Task], before: Mapping[str, Tried]) -> dict[str, float]:
    """Return the share of each type that is solved, shrunk towards that of all."""
    kinds: dict[str, Tried] = {}
    for task in tasks:
        own = before.get(task.id, NEVER)
        kinds[task.kind] = kinds.get(task.kind, NEVER).and_(own)
    whole = NEVER
    for each in kinds.values():
        whole = whole.and_(each)
    share = whole.shrunk(0.5, BORROWED)
    return {kind: had.shrunk(share, BORROWED) for kind, had in kinds.items()}


def chances(tasks: Sequence[Task], before: Mapping[str, Tried]) -> dict[str, Chance]:
    """Return what is believed of each task, those never tried included."""
    by_kind = rates(tasks, before)
    seen = Counter((before[task.id], by_kind[task.kind]) for task in tasks if task.id in before)
    worth = max(ALIKE, key=lambda each: _likelihood(seen, each)) if seen else UNKNOWN
    return {
        task.id: _believed(before.get(task.id, NEVER), by_kind[task.kind], worth) for task in tasks
    }


def _believed(had: Tried, rate: float, worth: float) -> Chance:
    return Chance(had.solved + worth * rate, had.failed + worth * (1 - rate))


def _likelihood(seen: Mapping[tuple[Tried, float], int], worth: float) -> float:
    """Return the logarithm of the chance of these records (beta-binomial), but for a constant."""
    return sum(
        many * (_log_beta(_believed(had, rate, worth)) - _log_beta(_believed(NEVER, rate, worth)))
        for (had, rate), many in seen.items()
    )


def _log_beta(chance: Chance) -> float:
    return lgamma(chance.solved) + lgamma(chance.failed) - lgamma(chance.solved + chance.failed)
