"""Which memories earned their place? Their effect, measured by leaving them out at random.

A recall shows most of what it found and leaves one item out by chance, so whether an item was shown
says nothing about the task, and the difference in success is its doing. Values only: whoever
recalls draws the lot and logs its odds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from memory.proof.intervals import CONFIDENCE, Interval, newcombe

Floats = NDArray[np.float64]


FIRST_LOOK = 25
"""Uses before the first look at whether an item should go; about two are left out by then."""


class Tag(StrEnum):
    """What a critic said of an item that was shown; an opinion, so it retires nothing."""

    HELPFUL = "helpful"
    HARMFUL = "harmful"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One episode for which an item was recalled, shown or not."""

    item: str
    episode: str
    kind: str  # of the task
    shown: bool  # False: left out by lot
    propensity: float  # chance with which the lot would show it; 1: no lot was drawn
    solved: bool
    tag: Tag | None = None  # None: no critic looked

    def __post_init__(self) -> None:
        if not 0 < self.propensity <= 1 or (self.propensity == 1 and not self.shown):
            raise ValueError(f"shown={self.shown} at propensity {self.propensity!r} of {self.item}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplift:
    """The share solved with an item minus the share solved without it."""

    estimate: float | None  # None: it was never shown, or never left out
    interval: Interval  # of this confidence; -1 to 1 when nothing is known
    confidence: float
    shown: int
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """All that is known of what an item does."""

    item: str
    uses: int
    smoothed: float  # share solved when shown, smoothed
    uplift: Uplift
    helpful: int
    harmful: int


class Retirement(StrEnum):
    """Why an item leaves the prompt."""

    HARMS = "harms"  # it costs success
    NEVER_HELPS = "never helps"  # it costs tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """When an item is retired.

    With a tenth left out, an item that harms by 30 points goes after about 100 uses, one that harms
    by 10 after 200, one that does nothing after 1,600; of items that help by 10 points, 10 % go
    wrongly within 6,400 uses (python -m bench.uplift). More left out is faster and costs success.
    """

    harm_confidence: float = CONFIDENCE  # two-sided; its upper bound under 0 retires
    idle_confidence: float = 0.80  # two-sided; tokens are cheaper than success
    margin: float = 0.05  # an uplift surely under this is not worth its tokens
    enough: int = 200  # uses before an item may be called idle


def uplift(uses: Sequence[Use], *, confidence: float = CONFIDENCE) -> Uplift:
    """Return the effect of the one item that these uses are of.

    Each use counts with one over the chance of what happened to it (Horvitz and Thompson 1952,
    normalised as by Hajek), so recalls that drew among few or many items mix without bias; at one
    common chance this is the plain difference of two shares, which is exactly unbiased. The
    interval is Newcombe's, at the effective number of uses (Kish 1965). Uses without a lot are
    left out: nothing random separates them.
    """
    lots = [use for use in uses if use.propensity < 1]
    solved_N = np.array([use.solved for use in lots], dtype=float)
    shown_N = np.array([use.shown for use in lots], dtype=bool)
    chance_N = np.array([use.propensity for use in lots], dtype=float)
    with_share, with_count = _weighted(solved_N[shown_N], 1 / chance_N[shown_N])
    without_share, without_count = _weighted(solved_N[~shown_N], 1 / (1 - chance_N[~shown_N]))
    known = with_count > 0 and without_count > 0
    low, high = newcombe(with_share, with_count, without_share, without_count, confidence).tolist()
    return Uplift(
        estimate=with_share - without_share if known else None,
        interval=Interval(low, high) if known else Interval(-1.0, 1.0),
        confidence=confidence,
        shown=int(shown_N.sum()),
        left_out=int((~shown_N).sum()),
    )


def smoothed(solved: int, uses: int) -> float:
    """Return Laplace's success rate: 1/2 for an unused item (EvolveR, arXiv:2510.16079).

    >>> smoothed(0, 0), smoothed(0, 3)
    (0.5, 0.2)
    """
    return (solved + 1) / (uses + 2)


def credit(item: str, uses: Sequence[Use]) -> Credit:
    """Return all that these uses say about an item; uses of other items are passed over."""
    own = [use for use in uses if use.item == item]
    shown = [use for use in own if use.shown]
    return Credit(
        item=item,
        uses=len(own),
        smoothed=smoothed(sum(use.solved for use in shown), len(shown)),
        uplift=uplift(own),
        helpful=sum(use.tag is Tag.HELPFUL for use in shown),
        harmful=sum(use.tag is Tag.HARMFUL for use in shown),
    )


def retirement(uses: Sequence[Use], bar: Bar) -> Retirement | None:
    """Return why the one item that these uses are of should leave the prompt, or None to keep it.

    Every look is a new chance to be wrong, so only the first 25, 50, 100, 200 ... uses are looked
    at, whenever one asks: a few chances in a life instead of one a use. The uses are in the order
    in which they happened.
    """
    if len(uses) < FIRST_LOOK:
        return None
    seen = uses[: FIRST_LOOK << int(np.log2(len(uses) // FIRST_LOOK))]
    if uplift(seen, confidence=bar.harm_confidence).interval.high < 0:
        return Retirement.HARMS
    idle = uplift(seen, confidence=bar.idle_confidence).interval.high < bar.margin
    return Retirement.NEVER_HELPS if idle and len(seen) >= bar.enough else None


def _weighted(solved_N: Floats, weight_N: Floats) -> tuple[float, float]:
    """Return the weighted share solved and the effective count; 0.5 and 0 without uses."""
    total = float(weight_N.sum())
    if total == 0:
        return 0.5, 0.0
    return float(solved_N @ weight_N) / total, total**2 / float(weight_N @ weight_N)
