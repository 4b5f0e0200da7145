"""The anchor policy at work: what may train, by who vouches for it and what was measured of them.

A gap counts for the judge and the policy that it was measured with, and only there: after a round
of training it is another policy, whose gap is unknown until it is measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from apprentice.findings.past import ALL
from apprentice.findings.place import reports
from distill.sequences.collate import Chosen
from distill.signals.anchors import SELF_SHARE, Anchored, allow
from distill.signals.corrections import corrected
from environments.anchor import Anchor
from environments.episode import Split
from environments.errors import UserError
from memory.proof.intervals import Interval

if TYPE_CHECKING:
    from memory.bank.annotations import Annotation
    from memory.store.store import Store


class UntrustedError(UserError, ValueError):
    """Nothing of a batch may be trained on."""

    def __init__(self, reasons: Sequence[str]) -> None:
        advice = "add samples that the world, a tool or a person vouches for, or measure the gap"
        said = "; ".join(reasons) or "there are no samples"
        super().__init__(f"nothing may be trained on: {said}; {advice}: apprentice audit gap")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Something to learn from, and who vouches for it."""

    chosen: Chosen
    anchor: Anchor

    @property
    def anchored(self) -> Anchored:
        kind = self.chosen.reading.episode.task.kind
        return Anchored(anchor=self.anchor, kind=kind, weight=self.chosen.weight)


@dataclass(frozen=True, slots=True)
class Trusted:
    """What may train, with the weights that it may have."""

    chosen: tuple[Chosen, ...]
    self_share: float  # of the weight
    reasons: tuple[str, ...]  # why weights were changed; empty: they were not


def trusted(
    samples: Sequence[Vouched], gaps: Mapping[str, Interval], *, self_share: float = SELF_SHARE
) -> Trusted:
    """Return what may train of these samples; those left out are not in it.

    Args:
        samples: the batch.
        gaps: as `measured_gaps` returns them.
        self_share: most of the weight that may rest on unproven self-judgment.

    Raises:
        UntrustedError: none of them may; the line says why.
    """
    allowance = allow([each.anchored for each in samples], gaps, self_share=self_share)
    if allowance.refused:
        raise UntrustedError(allowance.reasons)
    weighted = zip(samples, allowance.weights, strict=True)
    chosen = tuple(replace(each.chosen, weight=weight) for each, weight in weighted if weight > 0)
    return Trusted(chosen, allowance.self_share, allowance.reasons)


def measured_gaps(home: Path, policy: str, judge: str | None = None) -> dict[str, Interval]:
    """Return the last measured gap of each kind of task on which an audit decided.

    Args:
        home: where audits are kept.
        policy: the name of who acts.
        judge: the name of who judges; None: the policy itself.
    """
    gaps: dict[str, Interval] = {}
    for report in reports(home, "gap"):
        if report["models"] != {"policy": policy, "judge": judge or policy}:
            continue
        for kind, found in report["figures"]["verdicts"].items():
            if kind != ALL and found["decides"]:
                gaps.setdefault(kind, Interval(found["low"], found["high"]))
    return gaps


def corrections(store: "Store", annotations: Iterable["Annotation"]) -> tuple[Vouched, ...]:
    """Return what people's corrections of train episodes teach; a person vouches for each."""
    found: list[Vouched] = []
    for annotation in annotations:
        episode = store.get(annotation.episode)
        chosen = corrected(episode, annotation)
        if chosen is not None and episode.task.split is Split.TRAIN:
            found.append(Vouched(chosen, annotation.anchor))
    return tuple(found)
