"""May a candidate replace what is there? Statistics only; whoever calls plays the tasks.

Memories and adapters pass the same gate: both play the same tasks with and without the candidate,
and the candidate is promoted when its wins could hardly be chance, at any moment one cares to look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from memory.proof.intervals import Interval, mcnemar_better, mcnemar_different, paired
from memory.proof.sequential import Outlook, Plan, critical_wins, evidence, hopeless_below, outlook


class Outcome(StrEnum):
    PROMOTE = "promote"
    REJECT = "reject"
    UNDECIDED = "undecided"


class Reason(StrEnum):
    """Why a verdict is what it is."""

    PROVEN = "proven"  # the wins reached the line of the sequential test
    ANCHOR_LOST = "anchor lost"  # it fails tasks that may not regress
    VETOED = "vetoed"  # an audit raised an alarm
    HOPELESS = "hopeless"  # a worthwhile gain would hardly be proven by going on
    OUT_OF_PAIRS = "out of pairs"  # the plan is used up
    OPEN = "open"  # more pairs are needed


@dataclass(frozen=True, slots=True)
class Pair:
    """One task played twice under the same conditions."""

    task: str
    incumbent: bool  # solved without the candidate
    candidate: bool  # solved with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A gate's decision with all its numbers."""

    outcome: Outcome
    reason: Reason
    plan: Plan
    both: int  # tasks solved by both
    wins: int  # only by the candidate
    losses: int  # only by the incumbent
    neither: int
    needed: int | None  # wins that prove it now, given the discordant pairs; None: before a pair
    better: float  # exact chance of so many wins if the two were equal, for one look
    different: float  # the same, two-sided
    interval: Interval  # 95 % of the difference in share solved, for one look
    evidence: float  # e-value that the candidate is better; keeps its meaning beyond the plan
    outlook: Outlook  # of going on; chance is 0 or 1 and pairs 0 where there is a decision
    lost_anchors: tuple[str, ...]  # tasks of the anchor set that it no longer solves
    vetoes: tuple[str, ...]  # what the audits object to

    @property
    def pairs(self) -> int:
        return self.both + self.wins + self.losses + self.neither

    @property
    def difference(self) -> float:
        """Return the candidate's share solved minus the incumbent's; 0 before the first pair.

        A gate that stops early stops at a lucky moment: of promoted candidates with a true gain of
        10 points it shows 13 on average. The interval still covers the truth in 94 % of gates.
        """
        return (self.wins - self.losses) / self.pairs if self.pairs else 0.0


def judge(
    pairs: Sequence[Pair],
    plan: Plan,
    *,
    anchors: Sequence[Pair] = (),
    tolerated: int = 0,
    vetoes: Sequence[str] = (),
) -> Verdict:
    """Return what these pairs say about the candidate, at this look.

    The order of the pairs must not depend on their outcomes. Looking more or less often cannot
    raise the chance of promoting a candidate that is no better over `plan.level`.

    Args:
        pairs: every pair played so far, in order; those beyond the plan's number are an error.
        plan: made before the first pair was played.
        anchors: tasks that the candidate may not fail where the incumbent solved them.
        tolerated: anchor tasks it may lose all the same; above 0 for policies that sample.
        vetoes: objections of the audits, such as worse calibration; any one rejects.

    Raises:
        ValueError: there are more pairs than planned, or a task was counted twice.
    """
    _check(pairs, plan)
    lost = tuple(pair.task for pair in anchors if pair.incumbent and not pair.candidate)
    line = _line(pairs, plan)
    wins, losses = _wins(pairs), _losses(pairs)
    reason = _objection(lost, tolerated, vetoes) or _reading(pairs, line, plan)
    return Verdict(
        outcome=_OUTCOMES[reason],
        reason=reason,
        plan=plan,
        both=sum(pair.incumbent and pair.candidate for pair in pairs),
        wins=wins,
        losses=losses,
        neither=sum(not pair.incumbent and not pair.candidate for pair in pairs),
        needed=line,
        better=float(mcnemar_better(wins, losses)),
        different=float(mcnemar_different(wins, losses)),
        interval=Interval(*paired(wins, losses, len(pairs)).tolist()),
        evidence=float(evidence(wins, losses)),
        outlook=_outlook(pairs, reason, plan),
        lost_anchors=lost,
        vetoes=tuple(vetoes),
    )


def sentence(verdict: Verdict) -> str:
    """Return the verdict in one line for a person."""
    head = {
        Reason.PROVEN: "promote: the gain is proven",
        Reason.ANCHOR_LOST: f"reject: it lost {', '.join(verdict.lost_anchors)}",
        Reason.VETOED: f"reject: {'; '.join(verdict.vetoes)}",
        Reason.HOPELESS: f"reject: no gain of {verdict.plan.worthwhile:.0%} in sight",
        Reason.OUT_OF_PAIRS: f"reject: not proven in {verdict.plan.pairs} pairs",
        Reason.OPEN: f"undecided: about {2 * verdict.outlook.further_pairs:.0f} more episodes",
    }[verdict.reason]
    interval = f"{verdict.interval.low:+.1%} to {verdict.interval.high:+.1%}"
    counts = f"{verdict.wins} wins, {verdict.losses} losses in {verdict.pairs} pairs"
    return f"{head} ({counts}; {verdict.difference:+.1%}, 95 % {interval})"


_OUTCOMES = {
    Reason.PROVEN: Outcome.PROMOTE,
    Reason.ANCHOR_LOST: Outcome.REJECT,
    Reason.VETOED: Outcome.REJECT,
    Reason.HOPELESS: Outcome.REJECT,
    Reason.OUT_OF_PAIRS: Outcome.REJECT,
    Reason.OPEN: Outcome.UNDECIDED,
}


def _check(pairs: Sequence[Pair], plan: Plan) -> None:
    if len(pairs) > plan.pairs:
        raise ValueError(f"{len(pairs)} pairs for a plan of {plan.pairs}; its level is spent")
    if len({pair.task for pair in pairs}) < len(pairs):
        raise ValueError("a task was counted twice; pairs must be of distinct tasks")


def _wins(pairs: Sequence[Pair]) -> int:
    return sum(pair.candidate and not pair.incumbent for pair in pairs)


def _losses(pairs: Sequence[Pair]) -> int:
    return sum(pair.incumbent and not pair.candidate for pair in pairs)


def _discordant(pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([pair.candidate != pair.incumbent for pair in pairs], dtype=bool)


def _line(pairs: Sequence[Pair], plan: Plan) -> int | None:
    return int(critical_wins(_discordant(pairs)[None], plan)[0, -1]) if pairs else None


def _objection(lost: Sequence[str], tolerated: int, vetoes: Sequence[str]) -> Reason | None:
    if len(lost) > tolerated:
        return Reason.ANCHOR_LOST
    return Reason.VETOED if vetoes else None


def _reading(pairs: Sequence[Pair], line: int | None, plan: Plan) -> Reason:
    wins, losses = _wins(pairs), _losses(pairs)
    if line is not None and wins >= line:
        return Reason.PROVEN
    if len(pairs) == plan.pairs:
        return Reason.OUT_OF_PAIRS
    given_up = wins - losses < float(hopeless_below(len(pairs), wins + losses, plan))
    return Reason.HOPELESS if given_up else Reason.OPEN


def _outlook(pairs: Sequence[Pair], reason: Reason, plan: Plan) -> Outlook:
    if reason is Reason.OPEN:
        return outlook(_discordant(pairs), _wins(pairs), plan)
    return Outlook(chance=float(reason is Reason.PROVEN), further_pairs=0.0)
