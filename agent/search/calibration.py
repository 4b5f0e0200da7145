"""Does a critic's score mean what it says? A monotone map to chances, and how far off it was.

AlphaLLM's process judge is off by 0.375 on average (its value by 0.032): uncalibrated, such scores
weigh more than they know. The map is isotonic regression by pooling adjacent violators (Ayer et
al. 1955); the error is the expected calibration error in ten bins, and the one after is measured
on scores that the map was not made from.

Where success is rare a chance says little: a moment three times as good as others is still all but
lost. What tells moments apart is the evidence: by how much the log odds differ from anyone's.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from statistics import fmean

from agent.search.critics import log_odds

BINS = 10

FEWEST = 20
"""Opinions with a known outcome below which a map would be made of chance."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A map from scores in [-1, 1] to chances, constant between its points and never falling."""

    scores: tuple[float, ...]  # where each plateau begins, ascending
    chances: tuple[float, ...]
    counts: tuple[int, ...]  # opinions that each plateau was made of

    def __call__(self, score: float) -> float:
        return self.chances[self.plateau(score)]

    def plateau(self, score: float) -> int:
        """Return the number of the plateau that a score is on."""
        return max(bisect_right(self.scores, score) - 1, 0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a critic's score has told so far: log odds of success, less those of anyone.

    A plateau made of n opinions counts as if it had one more, which is like the rest: what was
    seen once proves little.
    """

    curve: Curve
    base: float  # the share of all opinions' successes, above 0 and below 1

    def __call__(self, score: float) -> float:
        at = self.curve.plateau(score)
        chance, count = self.curve.chances[at], self.curve.counts[at]
        return log_odds((chance * count + self.base) / (count + 1)) - log_odds(self.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What came of calibrating one critic."""

    critic: str
    opinions: int  # with a known outcome
    curve: Curve | None  # None: too few of them
    error: float  # expected calibration error of the score as a chance
    error_after: float | None  # of the curve's chances, on opinions it was not made from
    brier: float  # mean squared error of the score as a chance


def calibrated(critic: str, opinions: Sequence[tuple[float, float]]) -> Calibration:
    """Return the calibration of a critic.

    Args:
        critic: its name.
        opinions: its scores in [-1, 1], each with the share of what followed that succeeded.
    """
    chances = [((score + 1) / 2, came) for score, came in opinions]
    enough = len(opinions) >= FEWEST
    return Calibration(
        critic=critic,
        opinions=len(opinions),
        curve=isotonic(opinions) if enough else None,
        error=expected_error(chances),
        error_after=_error_after(opinions) if enough else None,
        brier=fmean((chance - came) ** 2 for chance, came in chances) if chances else 0.0,
    )


def isotonic(opinions: Sequence[tuple[float, float]]) -> Curve:
    """Return the never falling map that is nearest to the outcomes, in least squares.

    >>> isotonic([(0.1, 0), (0.2, 1), (0.3, 0), (0.4, 1)])
    Curve(scores=(0.1, 0.2, 0.4), chances=(0.0, 0.5, 1.0), counts=(1, 2, 1))
    """
    pools: list[tuple[float, float, int]] = []  # first score, sum, count
    for score, same in groupby(sorted(opinions), key=itemgetter(0)):
        came = [each for _, each in same]
        pools.append((score, float(sum(came)), len(came)))
        while len(pools) > 1 and _chance(pools[-2]) >= _chance(pools[-1]):
            (_, total, count), (first, more, many) = pools.pop(), pools.pop()
            pools.append((first, total + more, count + many))
    scores, _, counts = zip(*pools, strict=True)
    return Curve(scores, tuple(map(_chance, pools)), counts)


def evidence(opinions: Sequence[tuple[float, float]]) -> Evidence | None:
    """Return what a critic's scores have told; None: too few are known, or all ended alike."""
    if len(opinions) < FEWEST:
        return None
    base = fmean(came for _, came in opinions)
    return Evidence(isotonic(opinions), base) if 0 < base < 1 else None


def expected_error(chances: Sequence[tuple[float, float]]) -> float:
    """Return the mean distance of chance and frequency over ten bins, each by its share."""
    binned: list[list[tuple[float, float]]] = [[] for _ in range(BINS)]
    for chance, came in chances:
        binned[min(int(chance * BINS), BINS - 1)].append((chance, came))
    off = (abs(sum(p - came for p, came in held)) for held in binned)
    return sum(off) / len(chances) if chances else 0.0


def _error_after(opinions: Sequence[tuple[float, float]]) -> float:
    """Return the error of two curves, each on the half that the other was made from."""
    halves = opinions[::2], opinions[1::2]
    judged = [
        (isotonic(other)(score), came)
        for half, other in (halves, halves[::-1])
        for score, came in half
    ]
    return expected_error(judged)


def _chance(pool: tuple[float, float, int]) -> float:
    return pool[1] / pool[2]
