"""How much of a gain would a meaningless reward have given? Twins of a run, and the score of them.

A base model can gain from random rewards what looks like learning, because training sharpens what
it already does (Shao et al. 2025, arXiv:2506.10947). A gain counts only as far as twins lack it.

Shape suffixes: P prompts or held-out tasks, N samples of each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from distill.audit.bootstrap import resampled_means, spread
from environments.errors import UnknownNameError
from memory.proof.intervals import Interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WARN_FROM, REJECT_FROM = 0.2, 0.6
"""Spurious scores from which a claim of learning is doubtful, and from which it is rejected."""


class Twin(StrEnum):
    """What a twin of a run is rewarded for."""

    TRUE = "true"
    PERMUTED = "permuted"  # the true rewards of a prompt, dealt to the wrong samples
    RANDOM = "random"  # a coin with the mean of the true rewards
    INVERTED = "inverted"  # the best becomes the worst
    FORMAT = "format"  # well-formed is enough


def twins_of(text: str) -> tuple[Twin, ...]:
    """Return the twins that are listed, the true run first.

    Raises:
        UnknownNameError: there is no such twin.

    >>> twins_of("random, format")
    (<Twin.TRUE: 'true'>, <Twin.RANDOM: 'random'>, <Twin.FORMAT: 'format'>)
    """
    known = tuple(each.value for each in Twin)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UnknownNameError("twin", name, known)
    return tuple(dict.fromkeys((Twin.TRUE, *(Twin(name) for name in names))))


def permuted(reward_PN: Floats, rng: Generator) -> Floats:
    """Return the same rewards, shuffled within each prompt."""
    return rng.permuted(reward_PN, axis=1)


def random(reward_PN: Floats, rng: Generator) -> Floats:
    """Return coin tosses between the least and the greatest reward, with the mean of the true."""
    low, high = float(reward_PN.min()), float(reward_PN.max())
    if low == high:
        return reward_PN.copy()
    chance = (float(reward_PN.mean()) - low) / (high - low)
    return np.where(rng.random(reward_PN.shape) < chance, high, low)


def inverted(reward_PN: Floats) -> Floats:
    """Return the rewards mirrored between their least and greatest."""
    return reward_PN.max() + reward_PN.min() - reward_PN


def rewards(twin: Twin, reward_PN: Floats, well_formed_PN: Flags, rng: Generator) -> Floats:
    """Return what this twin of the run is paid for the same samples."""
    pay: Mapping[Twin, Callable[[], Floats]] = {
        Twin.TRUE: lambda: reward_PN,
        Twin.PERMUTED: lambda: permuted(reward_PN, rng),
        Twin.RANDOM: lambda: random(reward_PN, rng),
        Twin.INVERTED: lambda: inverted(reward_PN),
        Twin.FORMAT: lambda: well_formed_PN.astype(float),
    }
    return pay[twin]()


class Reading(StrEnum):
    """What a spurious score says about a claim of learning."""

    ACCEPT = "accept"
    WARN = "warn"
    REJECT = "reject"
    NO_GAIN = "no gain"  # the true reward did not surely help, so there is nothing to explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Spurious:
    """A twin's gain as a share of the true run's, on the same held-out tasks."""

    true_gain: float  # share solved, over no training at all
    true_gain_interval: Interval
    twin_gain: float
    twin_gain_interval: Interval
    score: float | None  # twin gain / true gain; None: the true run gained nothing
    interval: Interval | None  # 95 % of the score; None unless the true gain is surely positive
    reading: Reading


def spurious(none_P: Floats, twin_P: Floats, true_P: Floats, rng: Generator) -> Spurious:
    """Return how much of the true run's gain its twin has too.

    Args:
        none_P: share solved of each held-out task with no update (mean over attempts and seeds).
        twin_P: the same after training on the twin's rewards.
        true_P: the same after training on the true rewards.
        rng: for the intervals, over tasks.
    """
    gain_P2 = np.stack([twin_P - none_P, true_P - none_P], axis=1)
    twin_gain, true_gain = gain_P2.mean(axis=0).tolist()
    draw_R2 = resampled_means(gain_P2, rng)
    true_interval = spread(draw_R2[:, 1])
    sure = true_interval.low > 0
    score = twin_gain / true_gain if true_gain > 0 else None
    positive_R = draw_R2[:, 1] > 0
    return Spurious(
        true_gain=true_gain,
        true_gain_interval=true_interval,
        twin_gain=twin_gain,
        twin_gain_interval=spread(draw_R2[:, 0]),
        score=score,
        interval=spread(draw_R2[positive_R, 0] / draw_R2[positive_R, 1]) if sure else None,
        reading=_read(score) if sure else Reading.NO_GAIN,
    )


def _read(score: float | None) -> Reading:
    if score is None:
        return Reading.NO_GAIN
    if score < WARN_FROM:
        return Reading.ACCEPT
    return Reading.WARN if score <= REJECT_FROM else Reading.REJECT
