"""`audit gap`: does a judge tell good attempts from bad better than the policy makes them?

What decides for each kind of task is one rule, named before anything is measured: the best quarter
by the first verifier. The others stand beside it; to pick the best of them afterwards would find a
gap in noise.

Shape suffixes: P tasks, N attempts at each.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.critics.judge import UNDECIDED, anchor_of
from apprentice.audits.conduct import Audit, Work, judge_or_self, room_of, votes_of
from apprentice.audits.cost import Cost, record_length
from apprentice.audits.hearing import (
    Bias,
    Groups,
    Heard,
    Verifier,
    answers_to,
    bias_of,
    biases,
    hear,
)
from apprentice.findings.past import ALL, past_policies
from apprentice.findings.report import Bar, Findings, Grid, Whiskers, between, percent, signed
from apprentice.findings.sample import Wanted, collected, name_of
from apprentice.settings.config import Config
from distill.audit.gap import Gap, at_least, best, measure, soft, together
from environments.seed import derive

Floats = NDArray[np.float64]

KEPT = 0.25
"""Share of a task's attempts that the deciding rule keeps. The best quantile of the paper is a
fifth of 128 (arXiv:2412.02674); of 8 attempts that would be one."""

GOOD_SCORE = 0.8
"""Score from which an attempt is accepted, of 1 (the best threshold of the paper is 8 of 10)."""

WARMTH = 0.1
"""Temperature of the soft rules, in scores from 0 to 1."""

ENOUGH_TASKS = 10
"""Tasks of a kind from which its gap decides anything: over fewer, the interval, drawn from them
again and again, is too narrow."""

BIAS_TASKS = 6
"""Tasks of which every pair is compared where biases are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    wanted: Wanted = field(default_factory=Wanted)
    judge: str = ""  # empty: the policy itself
    verifiers: tuple[Verifier, ...] = tuple(Verifier)  # the first one decides
    bias: bool = False  # also every pair of some tasks, for what the judge minds


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to keep attempts."""

    name: str
    weight_PN: Floats


@dataclass(frozen=True, slots=True)
class Measured:
    """The gap of one rule at one kind of task."""

    kind: str
    rule: str
    gap: Gap

    @property
    def decides(self) -> bool:
        """Whether there are enough tasks for it to mean anything."""
        return self.gap.prompts >= ENOUGH_TASKS


def gap_cost(config: Config, options: Options) -> Cost:
    """Return what the audit asks for."""
    wanted, use = options.wanted, gap_judge(config, options)
    sample = collected(config, wanted)
    tasks = wanted.tasks if sample.missing else len(sample.groups)
    answers = tasks * answers_to(options.verifiers, wanted.attempts)
    if options.bias:
        answers += min(tasks, BIAS_TASKS) * wanted.attempts * (wanted.attempts - 1)
    calls = answers * votes_of(config, use)
    characters = calls * record_length(config, sample, room_of(config, use))
    return Cost(episodes=len(sample.missing), calls=calls, characters=characters)


def gap_judge(config: Config, options: Options) -> str:
    """Return the setting of who judges."""
    return judge_or_self(config, options.judge)


def examine(work: Work, options: Options) -> Findings:
    """Ask the judge of every attempt, and measure what filtering by it gains."""
    groups = work.attempts(work.config, options.wanted)
    return asyncio.run(_examine(work, options, groups))


async def _examine(work: Work, options: Options, groups: Groups) -> Findings:
    rng = np.random.default_rng(derive(work.config.seed, "audit gap"))
    calls = gap_cost(work.config, options).calls
    async with work.judge(gap_judge(work.config, options), calls) as judge:
        heard = await hear(judge, groups, options.verifiers, rng)
        bias = await biases(judge, groups[:BIAS_TASKS]) if options.bias else None
    policy = ", ".join(sorted({each.policy for group in groups for each in group}))
    measured = list(measure_all(groups, rules(heard, options.verifiers), rng))
    return Findings(
        verdict=tuple(_sentences(measured)),
        models={"policy": policy, "judge": judge.name},
        samples={
            "tasks": len(groups),
            "attempts each": len(groups[0]),
            "answers": judge.asked,
            "unreadable answers": judge.unread,
        },
        figures={
            "anchor": anchor_of(
                judge.name, policy, tuple(map(name_of, past_policies(work.config)))
            ),
            "verdicts": {each.kind: verdict(each) for each in _deciding(measured)},
            "rows": [{"kind": m.kind, "rule": m.rule, **_figures(m.gap)} for m in measured],
            "matches": _match_figures(heard),
            "bias": bias,
        },
        grids=(_grid(measured), *(_bias_grid(bias) if bias else ())),
        pictures=(_picture(measured),),
    )


def rules(heard: Heard, verifiers: Sequence[Verifier]) -> tuple[Rule, ...]:
    """Return all ways to keep attempts by what was heard, the deciding one first."""
    made: list[Rule] = []
    gates: list[Floats] = []
    for verifier in verifiers:
        if verifier is Verifier.TOURNAMENT:
            if heard.winner_PN is not None:
                made.append(Rule("tournament: who is left", heard.winner_PN))
                gates.append(heard.winner_PN)
            continue
        score_PN = heard.score_PN[verifier]
        least = UNDECIDED if verifier is Verifier.YES_NO else GOOD_SCORE
        gate_PN = at_least(least)(score_PN)
        gates.append(gate_PN)
        made += [
            Rule(f"{verifier}: best {KEPT:.0%}", best(KEPT)(score_PN)),
            Rule(f"{verifier}: at least {least:g}", gate_PN),
            Rule(f"{verifier}: soft", soft(WARMTH)(score_PN)),
        ]
    if len(gates) > 1:
        made.append(Rule("all verifiers agree", together(gates)))
    return tuple(made)


def measure_all(groups: Groups, by: Sequence[Rule], rng: Generator) -> Iterator[Measured]:
    """Yield the gap of every rule, for all tasks together and for each kind of them."""
    utility_PN = np.array([[float(each.solved) for each in group] for group in groups])
    kinds = np.array([group[0].task.kind for group in groups])
    for kind in (ALL, *sorted(set(kinds.tolist()))):
        chosen_P = np.ones(len(groups), bool) if kind == ALL else kinds == kind
        for rule in by:
            gap = measure(utility_PN[chosen_P], rule.weight_PN[chosen_P], rng)
            yield Measured(kind, rule.name, gap)


def verdict(measured: Measured) -> Mapping[str, Any]:
    """Return what the policy over anchors reads of a kind of task."""
    gap = measured.gap
    return {
        "rule": measured.rule,
        "low": gap.gap_interval.low,
        "high": gap.gap_interval.high,
        "gap": gap.gap,
        "tasks": gap.prompts,
        "decides": measured.decides,
    }


def _deciding(measured: Sequence[Measured]) -> list[Measured]:
    return [each for each in measured if each.rule == measured[0].rule]


def _figures(gap: Gap) -> dict[str, Any]:
    return {name: getattr(gap, name) for name in Gap.__dataclass_fields__}


def _match_figures(heard: Heard) -> Mapping[str, float] | None:
    if not heard.matches:
        return None
    first, agreement = bias_of(heard.matches)
    return {"matches": len(heard.matches), "first": first, "agreement": agreement}


def _sentences(measured: Sequence[Measured]) -> Iterator[str]:
    for each in _deciding(measured):
        gap = each.gap
        where = "of all tasks together" if each.kind == ALL else f"of {each.kind}"
        said = f"the gap {where} is {signed(gap.gap)} ({_interval(gap)}), by {each.rule}: "
        yield said + _reading(each)


def _reading(measured: Measured) -> str:
    gap = measured.gap
    if gap.accuracy in (0.0, 1.0):
        return "every attempt ended alike, so there is nothing to tell apart"
    if not measured.decides:
        return f"{gap.prompts} tasks are too few to decide anything, {ENOUGH_TASKS} are the least"
    if gap.positive:
        return "it may teach itself this"
    if gap.gap_interval.high < 0:
        return "its judgment makes it worse here: it may not teach itself this"
    return "not surely above 0: its own judgment counts little here"


def _grid(measured: Sequence[Measured]) -> Grid:
    headings = (
        "kind", "rule", "accuracy", "filtered", "gap", "95 % interval", "relative", "accepted",
        "true positives", "false positives", "effective samples", "tasks",
    )  # fmt: skip
    rows = [
        (
            each.kind,
            each.rule,
            percent(each.gap.accuracy),
            percent(each.gap.filtered),
            signed(each.gap.gap),
            _interval(each.gap),
            signed(each.gap.relative),
            percent(each.gap.accept_rate),
            percent(each.gap.true_positive_rate),
            percent(each.gap.false_positive_rate),
            f"{each.gap.effective_samples:.1f}",
            str(each.gap.prompts),
        )
        for each in _shown(measured)
    ]
    return Grid("Every rule, for every kind of task", headings, tuple(rows))


def _bias_grid(bias: Bias) -> tuple[Grid, ...]:
    rows = (
        ("the one shown first is preferred", percent(bias.first), "50 % is fair"),
        ("both orders agree", percent(bias.agreement), "the others are ties"),
        ("contradicts itself", f"{bias.cycles} of {bias.triples} triples", "0 is consistent"),
        ("follows length", signed(bias.length), "near 1: it counts words"),
        ("prefers its own", percent(bias.own), f"50 % is fair; {bias.own_pairs} pairs"),
    )
    return (Grid(f"What the judge minds, over {bias.tasks} tasks", ("", "", ""), rows),)


def _picture(measured: Sequence[Measured]) -> Whiskers:
    bars = tuple(
        Bar(
            each.rule if each.kind == ALL else each.kind,
            each.gap.gap,
            each.gap.gap_interval.low,
            each.gap.gap_interval.high,
        )
        for each in _shown(measured)
        if each.kind == ALL or each.rule == measured[0].rule
    )
    title = f"The gap by each rule, and of each kind by {measured[0].rule}; 95 % intervals"
    return Whiskers(title=title, across="gap", bars=bars)


def _shown(measured: Sequence[Measured]) -> list[Measured]:
    """Return all of them, but not twice the same where there is only one kind of task."""
    lone = len({each.kind for each in measured}) == len((ALL, "the only kind"))
    return [each for each in measured if not (lone and each.kind != ALL)]


def _interval(gap: Gap) -> str:
    return between(gap.gap_interval.low, gap.gap_interval.high)


GAP = Audit(
    name="gap",
    options=Options,
    cost=gap_cost,
    judge=gap_judge,
    examine=examine,
    notes=(
        "The gap is filtered minus unfiltered accuracy on the same attempts; accuracy is what the "
        "world itself says.",
        "The judge does not see what the world showed after the last action.",
        "Intervals are drawn over tasks, not over attempts.",
    ),
)
