"""Does a model's confidence mean what it says? Brier, ECE with what chance alone gives, AUROC.

Always read together: a constant confidence can have a fine ECE and says nothing (AUROC 1/2, one
distinct value), and the ECE of a perfectly calibrated model is far from 0 on small samples (0.07 at
200), so it stands beside the band that calibration itself would give.

Shape suffixes: N answers, B bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import rankdata

from memory.proof.intervals import Interval, wilson

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS = 10
"""Equal widths over 0 to 1, as in the evaluation of RLCR (arXiv:2507.16806)."""

NULL_DRAWS = 2000
NULL_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the reliability diagram."""

    low: float  # inclusive
    high: float  # exclusive, but for the last
    count: int
    confidence: float  # mean
    accuracy: float
    interval: Interval  # 95 %, of the accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the confidences of N answers fit what became of them."""

    count: int
    accuracy: float
    confidence: float  # mean
    distinct: int  # different confidences given
    brier: float  # reliability - resolution + uncertainty + within
    reliability: float  # how far bins are from what they say; lower is better
    resolution: float  # how far bins are from the mean accuracy; higher is better
    uncertainty: float  # accuracy x (1 - accuracy)
    within: float  # what binning hides (Stephenson 2008); 0 where bins hold one confidence each
    ece: float
    ece_null: float  # its mean if the confidences were exact
    ece_null_high: float  # its 95 % quantile then
    auroc: float | None  # chance that a right answer is the more confident; None: all alike right
    bins: tuple[Bin, ...]  # those with answers in them

    @property
    def calibrated(self) -> bool:
        """Whether the ECE is one that exact confidences would have; needs no resolution."""
        return self.ece <= self.ece_null_high


def calibration(confidence_N: Floats, correct_N: Flags, rng: Generator) -> Calibration:
    """Return how well these confidences, 0 to 1, fit these outcomes; rng draws the null band."""
    bin_N = _bin(confidence_N)
    right_N = correct_N.astype(float)
    shares = _shares(confidence_N, right_N, bin_N)
    null_D = null_eces(confidence_N, rng)
    accuracy = float(right_N.mean())
    brier = float(((confidence_N - right_N) ** 2).mean())
    reliability = float(shares.weight_B @ (shares.confidence_B - shares.accuracy_B) ** 2)
    resolution = float(shares.weight_B @ (shares.accuracy_B - accuracy) ** 2)
    uncertainty = accuracy * (1 - accuracy)
    return Calibration(
        count=len(confidence_N),
        accuracy=accuracy,
        confidence=float(confidence_N.mean()),
        distinct=len(np.unique(confidence_N)),
        brier=brier,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=brier - (reliability - resolution + uncertainty),
        ece=ece(confidence_N, correct_N),
        ece_null=float(null_D.mean()),
        ece_null_high=float(np.quantile(null_D, NULL_CONFIDENCE)),
        auroc=auroc(confidence_N, correct_N),
        bins=_diagram(shares, len(confidence_N)),
    )


def ece(confidence_N: Floats, correct_N: Flags) -> float:
    """Return the mean distance between a bin's confidence and its accuracy, over answers."""
    shares = _shares(confidence_N, correct_N.astype(float), _bin(confidence_N))
    return float(shares.weight_B @ np.abs(shares.confidence_B - shares.accuracy_B))


def null_eces(confidence_N: Floats, rng: Generator, draws: int = NULL_DRAWS) -> Floats:
    """Return the ECE in imagined worlds where each answer is right with its own confidence."""
    bin_N = _bin(confidence_N)
    member_NB = np.eye(BINS)[bin_N]
    right_DN = rng.random((draws, len(confidence_N))) < confidence_N
    excess_DB = (confidence_N - right_DN) @ member_NB
    return np.abs(excess_DB).sum(axis=1) / len(confidence_N)


def auroc(confidence_N: Floats, correct_N: Flags) -> float | None:
    """Return the chance that a right answer has the higher confidence, ties counting half.

    None where all answers are right or all are wrong (Mann and Whitney 1947, by ranks).
    """
    right, wrong = int(correct_N.sum()), int((~correct_N).sum())
    if not right or not wrong:
        return None
    ranks = float(rankdata(confidence_N)[correct_N].sum())
    return (ranks - right * (right + 1) / 2) / (right * wrong)


@dataclass(frozen=True, slots=True)
class _Shares:
    """What the bins hold; empty ones weigh 0."""

    weight_B: Floats
    confidence_B: Floats
    accuracy_B: Floats


def _bin(confidence_N: Floats) -> NDArray[np.int64]:
    if confidence_N.size == 0 or confidence_N.min() < 0 or confidence_N.max() > 1:
        raise ValueError("confidences must lie between 0 and 1, and there must be one")
    return np.minimum((confidence_N * BINS).astype(np.int64), BINS - 1)


def _shares(confidence_N: Floats, right_N: Floats, bin_N: NDArray[np.int64]) -> _Shares:
    count_B = np.bincount(bin_N, minlength=BINS).astype(float)
    safe_B = np.maximum(count_B, 1.0)
    return _Shares(
        count_B / len(bin_N),
        np.bincount(bin_N, confidence_N, BINS) / safe_B,
        np.bincount(bin_N, right_N, BINS) / safe_B,
    )


def _diagram(shares: _Shares, answers: int) -> tuple[Bin, ...]:
    count_B = np.rint(shares.weight_B * answers)
    interval_2B = wilson(shares.accuracy_B, count_B)
    return tuple(
        Bin(
            b / BINS,
            (b + 1) / BINS,
            int(count_B[b]),
            float(shares.confidence_B[b]),
            float(shares.accuracy_B[b]),
            Interval(*interval_2B[:, b].tolist()),
        )
        for b in np.flatnonzero(count_B)
    )
