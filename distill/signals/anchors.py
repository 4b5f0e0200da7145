"""What may train, and with what weight, by where its signal comes from.

A model that learns from its own opinion of itself improves only where checking is easier than
doing, which is measured and not assumed; elsewhere its errors are what it learns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from environments.anchor import Anchor
from memory.proof.intervals import Interval

SELF_SHARE = 0.25
"""Most of a batch's weight that may rest on unproven self-judgment; more lets drift back in."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """One sample as this policy sees it."""

    anchor: Anchor
    kind: str  # of the task
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a batch may train on."""

    weights: tuple[float, ...]  # in the order of the samples; all 0 where refused
    self_share: float  # of the weight that is left; 0 where refused
    reasons: tuple[str, ...]  # why weights were changed; empty: they were not

    @property
    def refused(self) -> bool:
        return not any(self.weights)


def allow(
    samples: Sequence[Anchored],
    gaps: Mapping[str, Interval],
    *,
    self_share: float = SELF_SHARE,
) -> Allowance:
    """Return the weights with which these samples may train.

    A self-anchored sample trains freely where the generation-verification gap of its kind is surely
    positive, not at all where it is surely negative, and otherwise only beside external samples,
    as at most `self_share` of the weight of the two.

    Args:
        samples: the batch.
        gaps: the measured interval of the gap by kind of task; a kind not in it is unmeasured.
        self_share: the cap, below 1.
    """
    external = sum(sample.weight for sample in samples if sample.anchor.external)
    doubtful = [sample for sample in samples if _trust(sample, gaps) is None]
    doubted = sum(sample.weight for sample in doubtful)
    room = external * self_share / (1 - self_share)
    scale = min(1.0, room / doubted) if doubted else 1.0
    factors = [_factor(_trust(sample, gaps), scale) for sample in samples]
    weights = tuple(sample.weight * factor for sample, factor in zip(samples, factors, strict=True))
    total = sum(weights)
    own = sum(w for w, sample in zip(weights, samples, strict=True) if not sample.anchor.external)
    return Allowance(weights, own / total if total else 0.0, tuple(_reasons(samples, gaps, scale)))


def _trust(sample: Anchored, gaps: Mapping[str, Interval]) -> bool | None:
    """Return whether a sample may train; None: the gap of its kind is unmeasured or unsure."""
    if sample.anchor.external:
        return True
    gap = gaps.get(sample.kind)
    if gap is None or gap.low <= 0 <= gap.high:
        return None
    return gap.low > 0


def _factor(trust: bool | None, scale: float) -> float:
    return scale if trust is None else float(trust)


def _reasons(
    samples: Sequence[Anchored], gaps: Mapping[str, Interval], scale: float
) -> Sequence[str]:
    own = [sample for sample in samples if not sample.anchor.external]
    said = [
        f"{kind}: left out, the gap is negative (at most {gaps[kind].high:+.3f})"
        for kind in sorted({sample.kind for sample in own if _trust(sample, gaps) is False})
    ]
    for kind in sorted({sample.kind for sample in own if _trust(sample, gaps) is None}):
        gap = gaps.get(kind)
        known = f"{gap.low:+.3f} to {gap.high:+.3f}" if gap else "unmeasured"
        if scale == 0:
            said.append(f"{kind}: refused, only the model vouches for it and its gap is {known}")
        elif scale < 1:
            said.append(f"{kind}: weights times {scale:.2f}, its gap is {known}")
    return said
