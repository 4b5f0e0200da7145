"""When to stop a training: the signs that it is destroying what it trains, as numbers.

Knows no model: it reads what a step reports and says what is wrong, in one line, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from environments.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a step reports; NaN where it had no attempts of the policy's own to measure it on."""

    loss: float
    gradient: float  # norm
    entropy: float  # nats per decision
    kl: float  # nats per decision, from the policy that acted
    length: float  # tokens per attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """Limits. Drift is measured against the first `window` steps, over the last `window`."""

    window: int = 5
    least_entropy: float = 0.05  # share of the first; SDPO's code ends near 0 after 400 steps
    most_kl: float = 0.5  # nats; beyond, clipped ratios no longer describe who acted
    most_length: float = 2.0  # times the first; growth without reward is the oldest hack
    canary_drop: float = 0.2  # of what the canaries scored before training
    every: int = 20  # steps between two good states kept, and two looks at the canaries


class CanaryError(UserError, ValueError):
    """Canaries that are not a share."""

    def __init__(self, score: float) -> None:
        super().__init__(f"the canaries scored {score!r}; they must give a share between 0 and 1")


def alarm(rails: Rails, history: Sequence[Vitals]) -> str | None:
    """Return why training must stop after these steps, or None."""
    now = history[-1]
    if not (isfinite(now.loss) and isfinite(now.gradient)):
        return f"the loss is {now.loss:g} and its gradient {now.gradient:g}: lower the rate"
    kl = _mean([each.kl for each in history[-rails.window :]])
    if kl is not None and kl > rails.most_kl:
        return f"{kl:.3g} nats from the policy that acted, more than {rails.most_kl:g}"
    if len(history) < 2 * rails.window:
        return None
    return _drift(rails, history[: rails.window], history[-rails.window :])


def canary_alarm(rails: Rails, before: float, now: float) -> str | None:
    """Return why training must stop when the canaries, tasks long mastered, score this."""
    for score in (before, now):
        if not 0 <= score <= 1:
            raise CanaryError(score)
    if before - now > rails.canary_drop:
        return f"the canaries fell from {before:.2f} to {now:.2f}"
    return None


def _drift(rails: Rails, first: Sequence[Vitals], last: Sequence[Vitals]) -> str | None:
    began, ended = (_mean([each.entropy for each in some]) for some in (first, last))
    if began is not None and ended is not None and ended < rails.least_entropy * began:
        return f"entropy fell from {began:.3g} to {ended:.3g} nats per decision"
    began, ended = (_mean([each.length for each in some]) for some in (first, last))
    if began is not None and ended is not None and ended > rails.most_length * began:
        return f"attempts grew from {began:.0f} to {ended:.0f} tokens"
    return None


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if isfinite(value)]
    return fmean(known) if known else None
