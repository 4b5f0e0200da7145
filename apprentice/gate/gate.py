"""May a candidate act in place of the incumbent? Both play, and `memory.proof.proof` judges.

Anchors come first, for they may reject at once; then pairs in blocks until it is decided; and only
who would be promoted is held to the audits, which cost more and can only object.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from apprentice.gate.exam import Comparison, Seat, Sheet, compare
from apprentice.runs.runs import Watcher
from apprentice.settings.config import Config
from distill.audit.bootstrap import resampled_means, spread
from distill.audit.diversity import diversity
from environments.episode import Episode, Task
from memory.proof.proof import Outcome, Verdict, judge
from memory.proof.sequential import Plan, hopeless_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUDIT_SEED = 20250
"""Of the resamples of an audit, whose intervals move by about 2 % of their width with it."""

Audit: TypeAlias = Callable[[Comparison], Awaitable[tuple[str, ...]]]
"""Given what both played, returns what there is to object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a candidate has to pass."""

    anchors: int = 12  # tasks that may not regress, the first of the exam's; never counted as pairs
    tolerated: int = 2  # of these it may lose: of equals with 7 % of losses, 5 % lose more
    pairs: int = 200  # at most, where there are as many tasks
    budget: int | None = None  # pairs played now; None: until it is decided
    block: int = 16  # pairs between two looks; looking more often finds a gain a little earlier
    worthwhile: float = 0.10  # the gain that we would be sorry to miss
    tries: int = 4  # at each task whose range of solutions is compared; 0: it is not
    ranged: int = 8  # tasks compared so


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What was played, and what it says."""

    compared: Comparison
    anchors: Comparison
    tolerated: int  # anchors that might be lost
    verdict: Verdict


def bar_of(config: Config) -> Bar:
    """Return what the settings ask of a candidate."""
    return Bar(**config.gate.model_dump(exclude={"false_share", "rollback"}))


async def no_audit(_: Comparison) -> tuple[str, ...]:
    """Object to nothing."""
    return ()


async def gate(  # noqa: PLR0913 - all that a gate needs, each by its name
    incumbent: Seat,
    candidate: Seat,
    tasks: Sequence[Task],
    *,
    bar: Bar,
    level: float,
    watcher: Watcher,
    audit: Audit = no_audit,
    begun: Gated | None = None,
) -> Gated:
    """Let both play until it is decided, or until the budget is used up.

    An exam that goes on keeps its plan and its pairs: its level was spent when it began, and what
    was seen is not played again, even where memory says something else by now.

    Args:
        incumbent: who acts now.
        candidate: who may act instead.
        tasks: in an order that depends on nobody's outcomes.
        bar: what has to be passed.
        level: chance of promoting a candidate that is no better, over all looks.
        watcher: told of every step and episode.
        audit: asked about a candidate that would be promoted.
        begun: what was played of it before, where a budget ended it undecided.
    """
    if begun is None:
        anchored = tasks[: min(bar.anchors, len(tasks) // 2)]
        anchors = await compare(incumbent, candidate, anchored, watcher)
        begun = _opened(anchors, bar, plan_of(bar, level, len(tasks) - len(anchored)))
    anchors, compared, plan = begun.anchors, begun.compared, begun.verdict.plan
    first, played = len(anchors.pairs), len(compared.pairs)
    verdict = verdict_of(compared, anchors, plan, bar)
    stop = first + min(plan.pairs, played + (bar.budget or plan.pairs))
    for start in range(first + played, stop, bar.block):
        if verdict.outcome is not Outcome.UNDECIDED:
            break
        block = tasks[start : min(start + bar.block, stop)]
        compared = compared.joined(await compare(incumbent, candidate, block, watcher))
        verdict = verdict_of(compared, anchors, plan, bar)
    if verdict.outcome is Outcome.PROMOTE:
        vetoes = (*calibration_veto(compared), *await audit(compared))
        verdict = verdict_of(compared, anchors, plan, bar, vetoes)
    return Gated(compared=compared, anchors=anchors, tolerated=bar.tolerated, verdict=verdict)


def _opened(anchors: Comparison, bar: Bar, plan: Plan) -> Gated:
    """Return what is known before the first pair."""
    none = Comparison(a=replace(anchors.a, answers=()), b=replace(anchors.b, answers=()))
    verdict = verdict_of(none, anchors, plan, bar)
    return Gated(compared=none, anchors=anchors, tolerated=bar.tolerated, verdict=verdict)


def plan_of(bar: Bar, level: float, tasks: int) -> Plan:
    """Return how so many tasks are judged at a level.

    Where they are too few to show the gain that is worthwhile, going on would be hopeless before
    the first is played; then the least gain is looked for that they can show.
    """
    pairs = min(bar.pairs, tasks)
    gains = [bar.worthwhile, *(gain / 20 for gain in range(1, 20) if gain / 20 > bar.worthwhile)]
    plans = [Plan(level=level, pairs=pairs, worthwhile=gain) for gain in gains]
    able = (plan for plan in plans if float(hopeless_below(0, 0, plan)) < 0)
    return next(able, plans[-1])


def verdict_of(
    compared: Comparison,
    anchors: Comparison,
    plan: Plan,
    bar: Bar,
    vetoes: Sequence[str] = (),
) -> Verdict:
    """Return what the pairs say; a function of what is stored, so it can be asked again."""
    return judge(
        compared.pairs, plan, anchors=anchors.pairs, tolerated=bar.tolerated, vetoes=vetoes
    )


def calibration_veto(compared: Comparison) -> tuple[str, ...]:
    """Object if the candidate's confidence means surely less than the incumbent's did.

    By the Brier score over the same tasks, since better and surer together is no fault; the
    confidence is how sure a policy was of its actions, and means little by itself.
    """
    before_N, after_N = _briers(compared.a), _briers(compared.b)
    if before_N is None or after_N is None or not len(before_N):
        return ()
    rng = np.random.default_rng(AUDIT_SEED)
    worse = spread(resampled_means((after_N - before_N)[:, None], rng)[:, 0])
    if worse.low <= 0:
        return ()
    return (f"its confidence means less: Brier score {worse.low:+.3f} to {worse.high:+.3f}",)


def range_veto(
    incumbent: Sequence[Episode], candidate: Sequence[Episode], tries: int
) -> tuple[str, ...]:
    """Object if the candidate surely lost solutions that the incumbent finds when it tries often.

    Args:
        incumbent: its episodes, sampled, so many at each task one after the other.
        candidate: likewise.
        tries: how many at each.
    """
    base_P, trained_P = (_solved(episodes, tries) for episodes in (incumbent, candidate))
    k_K = [2**power for power in range(tries.bit_length()) if 2**power <= tries]
    found = diversity(base_P, trained_P, tries, k_K, np.random.default_rng(AUDIT_SEED))
    if not found.lost or isnan(found.kept):
        return ()
    return (f"it lost solutions: behind at {found.surely_behind} tries, kept {found.kept:.0%}",)


def _briers(sheet: Sheet) -> "NDArray[np.float64] | None":
    """Return the Brier score of each answer; None: some confidence was not recorded."""
    told = [(each.confidence, each.solved) for each in sheet.answers]
    known = [(sure - solved) ** 2 for sure, solved in told if sure is not None]
    return np.array(known) if len(known) == len(told) else None


def _solved(episodes: Sequence[Episode], tries: int) -> "NDArray[np.int64]":
    solved_PT = np.array([each.solved for each in episodes], dtype=np.int64).reshape(-1, tries)
    return solved_PT.sum(axis=1)
