"""What can a policy still do when it may try often? pass@k of base and trained, side by side.

Training on what already worked can raise the first try and lose the rare solutions: the base then
overtakes at large k (Yue et al. 2025, arXiv:2504.13837). Both need the same number of attempts at
the same tasks.

Shape suffixes: P tasks, K numbers of tries, R resamples.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from distill.audit.bootstrap import resampled_means, spread
from memory.proof.intervals import Interval

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def pass_at_k(attempts: int, solved: ArrayLike, k: ArrayLike) -> Floats:
    """Return the chance that at least one of k tries solves, without bias: 1 - C(n-c,k)/C(n,k).

    Chen et al. 2021. Plugging the share solved into 1-(1-p)^k, or drawing with replacement, is
    biased low.

    >>> pass_at_k(4, [0, 1, 4], 2).tolist()
    [0.0, 0.5, 1.0]
    """
    solved_P, k_P = np.asarray(solved), np.asarray(k)
    _check_tries(attempts, k_P)
    return 1.0 - _choose_ratio(attempts - solved_P, attempts, k_P)


def pass_all_k(attempts: int, solved: ArrayLike, k: ArrayLike) -> Floats:
    """Return the chance that all of k tries solve, without bias: C(c,k)/C(n,k)."""
    solved_P, k_P = np.asarray(solved), np.asarray(k)
    _check_tries(attempts, k_P)
    return _choose_ratio(solved_P, attempts, k_P)


@dataclass(frozen=True, slots=True)
class Tries:
    """Both policies allowed k tries."""

    k: int
    base: float
    base_interval: Interval
    trained: float
    trained_interval: Interval
    gain: float  # trained minus base, on the same tasks
    gain_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """What training did to the range of a policy."""

    tasks: int
    attempts: int  # at each task, by each policy
    curve: tuple[Tries, ...]
    first_k_behind: int | None  # smallest k where the base is level or ahead; None: none, good
    surely_behind: int | None  # smallest k where the whole interval of the gain is below 0
    base_coverage: float  # share of tasks the base solved at least once
    kept: float  # of those, the share the trained policy still solves; nan: the base solved none

    @property
    def lost(self) -> bool:
        """Whether training surely lost solutions that the base has."""
        return self.surely_behind is not None


def diversity(
    base_P: Counts, trained_P: Counts, attempts: int, tries: Sequence[int], rng: Generator
) -> Diversity:
    """Return both curves and where they cross.

    Args:
        base_P: how often the base solved each task in so many attempts.
        trained_P: the same for the trained policy, in the same order of tasks.
        attempts: at each task; at least the largest k.
        tries: the k to report.
        rng: for the intervals.
    """
    k_K = np.asarray(sorted(tries))
    base_PK = pass_at_k(attempts, base_P[:, None], k_K)
    trained_PK = pass_at_k(attempts, trained_P[:, None], k_K)
    draw_RK = resampled_means(np.concatenate([base_PK, trained_PK], axis=1), rng)
    base_RK, trained_RK = np.split(draw_RK, 2, axis=1)
    curve = tuple(
        Tries(
            int(k),
            float(base_PK[:, i].mean()),
            spread(base_RK[:, i]),
            float(trained_PK[:, i].mean()),
            spread(trained_RK[:, i]),
            float((trained_PK - base_PK)[:, i].mean()),
            spread((trained_RK - base_RK)[:, i]),
        )
        for i, k in enumerate(k_K)
    )
    can_P = base_P > 0
    return Diversity(
        tasks=len(base_P),
        attempts=attempts,
        curve=curve,
        first_k_behind=next((at.k for at in curve if at.gain <= 0 and at.base > 0), None),
        surely_behind=next((at.k for at in curve if at.gain_interval.high < 0), None),
        base_coverage=float(can_P.mean()),
        kept=float((trained_P[can_P] > 0).mean()) if can_P.any() else float("nan"),
    )


@dataclass(frozen=True, slots=True)
class Variety:
    """How different the attempts at one task are from each other."""

    attempts: int
    distinct: int
    entropy: float  # nats, of the shares of the distinct ones; biased low for few attempts


def variety(sequences: Sequence[Hashable]) -> Variety:
    """Return how many different action sequences (or answers) there are, and their entropy.

    >>> variety([("go", "look"), ("go", "look")])
    Variety(attempts=2, distinct=1, entropy=0.0)
    """
    share = np.array(list(Counter(sequences).values()), dtype=float) / max(len(sequences), 1)
    return Variety(len(sequences), len(share), abs(float((share * np.log(share)).sum())))


def _choose_ratio(few: NDArray[np.int64], many: int, k: NDArray[np.int64]) -> Floats:
    """Return C(few, k) / C(many, k), 0 where few < k."""
    enough = few >= k
    rest = np.where(enough, few - k, 0)
    log_few = gammaln(few + 1.0) - gammaln(rest + 1.0)
    log_many = gammaln(many + 1.0) - gammaln(many - k + 1.0)
    return np.where(enough, np.exp(log_few - log_many), 0.0)


def _check_tries(attempts: int, k: NDArray[np.int64]) -> None:
    if k.min() < 1 or k.max() > attempts:
        raise ValueError(f"k from {k.min()} to {k.max()} with {attempts} attempts at each task")
