"""Intervals by drawing prompts again with replacement (Efron 1979).

Prompts, not samples: the samples of one prompt are alike, and treating them as independent makes
every interval too narrow.

Shape suffixes: P prompts or tasks, K quantities measured on each, R resamples.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from memory.proof.intervals import CONFIDENCE, Interval

Floats = NDArray[np.float64]

RESAMPLES = 2000
"""Draws per interval; its ends then move by about 2 % of its width between seeds."""


BLOCK = 4_000_000
"""Counts held at a time: 32 MB, however many prompts there are."""


def resampled_means(value_PK: Floats, rng: Generator, resamples: int = RESAMPLES) -> Floats:
    """Return the means of each quantity over resampled prompts, (R, K).

    The quantities of one prompt stay together, so a ratio or difference of means may be taken of
    the result, draw by draw. A prompt that lacks a quantity (nan) is left out of its mean.
    """
    prompts, quantities = value_PK.shape
    present_PK = ~np.isnan(value_PK)
    both_P2K = np.concatenate([np.where(present_PK, value_PK, 0.0), present_PK], axis=1)
    sum_R2K = np.empty((resamples, 2 * quantities))
    step = max(1, BLOCK // prompts)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn_RP = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=size)
        sum_R2K[start : start + size] = drawn_RP.astype(float) @ both_P2K
    total_RK, count_RK = sum_R2K[:, :quantities], sum_R2K[:, quantities:]
    return np.where(count_RK > 0, total_RK / np.maximum(count_RK, 1.0), np.nan)


def spread(draw_R: Floats, confidence: float = CONFIDENCE) -> Interval:
    """Return the central interval of the draws, those that are not numbers left out."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(draw_R, [tail, 1 - tail])
    return Interval(float(low), float(high))
