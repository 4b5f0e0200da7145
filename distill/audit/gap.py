"""How much better a model's samples get when its own verification picks among them.

The gap bounds what one round of training on those picks can gain, so it decides which kinds of task
a model may teach itself (Song et al. 2025, arXiv:2412.02674). It compares filtered and unfiltered
samples of the SAME draw; "after training minus before" also counts format learning.

Shape suffixes: P prompts, N samples of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from distill.audit.bootstrap import resampled_means, spread
from memory.proof.intervals import Interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Weigh = Callable[[Floats], Floats]
"""From the scores of a verifier to the weights of the samples, both (P, N)."""

ENOUGH_SAMPLES = 32
"""Samples per prompt for an unbiased filtered mean; with 4 it loses 4 % of the gap."""


def at_least(threshold: float) -> Weigh:
    """Keep samples that score the threshold or more."""
    return lambda score_PN: (score_PN >= threshold).astype(float)


def best(share: float) -> Weigh:
    """Keep the best share of each prompt's samples, at least one; ties with the last stay in."""

    def weigh(score_PN: Floats) -> Floats:
        kept = max(1, int(np.ceil(share * score_PN.shape[1])))
        line_P1 = -np.sort(-score_PN, axis=1)[:, kept - 1 : kept]
        return (score_PN >= line_P1).astype(float)

    return weigh


def soft(temperature: float) -> Weigh:
    """Weigh by exp(score / temperature), as KL-regularized training does with that coefficient."""
    return lambda score_PN: np.exp((score_PN - score_PN.max()) / temperature)


def together(weights: Sequence[Floats]) -> Floats:
    """Keep what every verifier keeps: their errors differ, so this beats a bigger one alone."""
    return reduce(np.multiply, weights)


def tournament(beats_PNN: Flags, rounds: int, rng: Generator) -> Floats:
    """Keep the winners of knock-out groups of 2^rounds samples, drawn by lot.

    Args:
        beats_PNN: whether the judge, shown sample i first and j second, prefers i.
        rounds: of each knock-out; samples that fill no whole group do not play.
        rng: draws the groups and who is shown first.
    """
    prompts, samples, _ = beats_PNN.shape
    size = 1 << rounds
    seats_PN = rng.permuted(np.tile(np.arange(samples), (prompts, 1)), axis=1)
    left_PN = seats_PN[:, : samples // size * size]
    row_P1 = np.arange(prompts)[:, None]
    for _ in range(rounds):
        first_PN, second_PN = left_PN[:, ::2], left_PN[:, 1::2]
        left_PN = np.where(beats_PNN[row_P1, first_PN, second_PN], first_PN, second_PN)
    weight_PN = np.zeros((prompts, samples))
    weight_PN[row_P1, left_PN] = 1.0
    return weight_PN


@dataclass(frozen=True, slots=True)
class OrderBias:
    """Whether a judge minds who is shown first."""

    first: float  # share of comparisons won by the one shown first; a fair judge: 1/2
    agreement: float  # share of pairs with the same winner in both orders


def order_bias(beats_PNN: Flags) -> OrderBias:
    """Return how a judge that compared every pair in both orders depends on the order."""
    upper = np.triu_indices(beats_PNN.shape[1], k=1)
    one, other = beats_PNN[:, upper[0], upper[1]], beats_PNN[:, upper[1], upper[0]]
    return OrderBias(float((one.mean() + other.mean()) / 2), float((one != other).mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap of one model, verifier and kind of task."""

    accuracy: float  # mean utility of all samples
    filtered: float  # of those the verifier keeps
    gap: float
    gap_interval: Interval  # 95 %, over prompts
    relative: (
        float  # mean over prompts of the gap as a share of what was missing; nan: none missing
    )
    relative_interval: Interval | None  # None where relative is nan
    accept_rate: float
    true_positive_rate: float  # of samples with full utility; nan: there are none
    false_positive_rate: float  # of samples with none; nan: there are none
    effective_samples: float  # (sum w)^2 / sum w^2, mean over prompts
    prompts: int
    samples: int  # of each prompt
    empty: int  # prompts of which nothing was kept; they count as a gap of 0
    perfect: int  # prompts solved by every sample; they have no relative gap

    @property
    def positive(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.gap_interval.low > 0

    @property
    def enough(self) -> bool:
        return self.samples >= ENOUGH_SAMPLES

    def update_error(self, after: float) -> float:
        """Return how far training to this accuracy missed the filtered samples it was to copy."""
        return abs(after - self.filtered)


def measure(utility_PN: Floats, weight_PN: Floats, rng: Generator) -> Gap:
    """Return the gap of weighted samples over all samples.

    Args:
        utility_PN: what each sample is really worth, 0 to 1, by an anchor that is not the model.
        weight_PN: 0 or more, as a rule above gives them; a soft weight counts as accepted in
            proportion to the largest.
        rng: for the intervals.
    """
    accuracy_P = utility_PN.mean(axis=1)
    total_P = weight_PN.sum(axis=1)
    empty_P = total_P == 0
    kept_P = (weight_PN * utility_PN).sum(axis=1) / np.where(empty_P, 1.0, total_P)
    filtered_P = np.where(empty_P, accuracy_P, kept_P)
    gap_P = filtered_P - accuracy_P
    perfect_P = accuracy_P >= 1
    relative_P = np.where(perfect_P, np.nan, gap_P / np.where(perfect_P, 1.0, 1 - accuracy_P))
    draw_R2 = resampled_means(np.stack([gap_P, relative_P], axis=1), rng)
    accept_PN = weight_PN / max(float(weight_PN.max()), np.finfo(float).tiny)
    squares_P = (weight_PN**2).sum(axis=1)
    return Gap(
        accuracy=float(accuracy_P.mean()),
        filtered=float(filtered_P.mean()),
        gap=float(gap_P.mean()),
        gap_interval=spread(draw_R2[:, 0]),
        relative=_mean(relative_P[~perfect_P]),
        relative_interval=None if perfect_P.all() else spread(draw_R2[:, 1]),
        accept_rate=float(accept_PN.mean()),
        true_positive_rate=_mean(accept_PN[utility_PN >= 1]),
        false_positive_rate=_mean(accept_PN[utility_PN <= 0]),
        effective_samples=float((total_P**2 / np.where(empty_P, 1.0, squares_P)).mean()),
        prompts=len(utility_PN),
        samples=utility_PN.shape[1],
        empty=int(empty_P.sum()),
        perfect=int(perfect_P.sum()),
    )


def _mean(value_N: Floats) -> float:
    return float(value_N.mean()) if value_N.size else float("nan")
