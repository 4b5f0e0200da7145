"""`audit diversity`: what can a policy still do when it may try often, and did training cost range?

Shape suffixes: P tasks, K numbers of tries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isnan
from statistics import fmean

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apprentice.audits.conduct import Audit, Groups, Work
from apprentice.audits.cost import Cost
from apprentice.findings.report import Chart, Curve, Dot, Findings, Grid, between, percent, signed
from apprentice.findings.sample import TooFewError, Wanted, collected, exactly
from apprentice.settings.acting import BASE, LOCAL, Named
from apprentice.settings.config import Config
from distill.audit.diversity import Diversity, Variety, diversity, variety
from environments.episode import Episode, Split
from environments.seed import derive

Counts = NDArray[np.int64]

MOST_TRIES = 64
"""The largest k that is reported; the crossing of base and trained is often beyond 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    wanted: Wanted = field(default_factory=lambda: Wanted(split=Split.DEV, attempts=16))
    base: str = ""  # the policy to compare with; empty: the model without adapters
    base_run: str | None = None  # its run, where `wanted.run` names that of the policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """How different the attempts of one policy are, means over tasks."""

    policy: str
    sequences: float  # distinct action sequences of a task, as a share of its attempts
    sequence_entropy: float  # nats
    action_entropy: float | None  # nats: minus the mean logprob of an action; None: not recorded
    steps: float


def diversity_cost(config: Config, options: Options) -> Cost:
    """Return what the audit asks for: both policies play the same tasks."""
    wanted, other = options.wanted, _base_config(config, options)
    missing = len(collected(config, wanted).missing)
    missing += len(collected(other, _base_wanted(options)).missing)
    return Cost(episodes=missing)


def examine(work: Work, options: Options) -> Findings:
    """Have both policies attempt the same tasks, and compare what they can do."""
    other = _base_config(work.config, options)
    trained = work.attempts(work.config, options.wanted)
    base = work.attempts(other, _base_wanted(options))
    base, trained = _same_tasks(base, trained)
    rng = np.random.default_rng(derive(work.config.seed, "audit diversity"))
    found = compare(base, trained, rng)
    ranges = (range_of(base), range_of(trained))
    return Findings(
        verdict=tuple(_sentences(found)),
        models={"policy": ranges[1].policy, "base": ranges[0].policy, "judge": ""},
        samples={
            "tasks": found.tasks,
            "attempts each": found.attempts,
            "attempts": 2 * found.tasks * found.attempts,
        },
        figures={
            **asdict(found),
            "ranges": ranges,
            "lost": found.lost,
            "efficiency_gap": found.curve[-1].base - found.curve[0].trained,
        },
        grids=(_curve_grid(found), _range_grid(ranges)),
        pictures=(_picture(found),),
    )


def compare(base: Groups, trained: Groups, rng: Generator) -> Diversity:
    """Return the curves of both and where they cross."""
    attempts = len(base[0])
    return diversity(_solved(base), _solved(trained), attempts, tries(attempts), rng)


def tries(attempts: int) -> tuple[int, ...]:
    """Return the k that are reported for so many attempts: powers of two, up to 64.

    >>> tries(16), tries(6)
    ((1, 2, 4, 8, 16), (1, 2, 4))
    """
    most = min(attempts, MOST_TRIES)
    return tuple(1 << power for power in range(most.bit_length()))


def range_of(groups: Groups) -> Range:
    """Return how different the attempts at each task are."""
    varieties: list[Variety] = [variety([each.actions for each in group]) for group in groups]
    episodes = [each for group in groups for each in group]
    return Range(
        policy=", ".join(sorted({each.policy for each in episodes})),
        sequences=fmean(each.distinct / each.attempts for each in varieties),
        sequence_entropy=fmean(each.entropy for each in varieties),
        action_entropy=_surprise(episodes),
        steps=fmean(len(each.steps) for each in episodes),
    )


def _surprise(episodes: Sequence[Episode]) -> float | None:
    """Return minus the mean logprob of an action: an estimate of its entropy from what was done."""
    steps = [step for episode in episodes for step in episode.steps]
    if not all(step.completion.logprobs for step in steps):
        return None
    return -fmean(sum(step.completion.logprobs) for step in steps)


def _solved(groups: Groups) -> Counts:
    return np.array([sum(each.solved for each in group) for group in groups], dtype=np.int64)


def _same_tasks(base: Groups, trained: Groups) -> tuple[Groups, Groups]:
    """Return both at the tasks that both attempted, in one order.

    Raises:
        TooFewError: there is no such task.
    """
    by_task = {group[0].task.id: group for group in base}
    both = [group for group in trained if group[0].task.id in by_task]
    if not both:
        raise TooFewError(
            "no task was attempted by both policies often enough; lower --attempts, or leave the "
            "runs out and the same tasks are played"
        )
    return tuple(by_task[group[0].task.id] for group in both), tuple(both)


def _base_config(config: Config, options: Options) -> Config:
    """Return the settings of the policy to compare with."""
    use = options.base
    named = Named.parse(config.policy.use)
    if not use and named.kind == LOCAL:
        use = str(Named(LOCAL, named.model, BASE))
    actor = config.policy.model_copy(update={"use": use or "random"})
    return exactly(config.model_copy(update={"policy": actor}))


def _base_wanted(options: Options) -> Wanted:
    return replace(options.wanted, run=options.base_run)


def _sentences(found: Diversity) -> Iterator[str]:
    last = found.curve[-1]
    yield (
        f"at k = {last.k} the policy solves {percent(last.trained)}, the base "
        f"{percent(last.base)}: {signed(last.gain)} "
        f"({between(last.gain_interval.low, last.gain_interval.high)})"
    )
    if found.lost:
        yield f"solutions were lost: from k = {found.surely_behind} on the base is surely ahead"
    elif found.first_k_behind is not None:
        yield f"the base is level or ahead from k = {found.first_k_behind} on, but not surely"
    else:
        yield "nowhere is the base ahead"
    if isnan(found.kept):
        yield "the base solved no task at all, so none could be lost"
    else:
        yield (
            f"of the {percent(found.base_coverage)} of tasks that the base could solve, "
            f"{percent(found.kept)} are still solved"
        )


def _curve_grid(found: Diversity) -> Grid:
    rows = [
        (
            str(at.k),
            percent(at.base),
            f"{percent(at.base_interval.low)} to {percent(at.base_interval.high)}",
            percent(at.trained),
            f"{percent(at.trained_interval.low)} to {percent(at.trained_interval.high)}",
            signed(at.gain),
            between(at.gain_interval.low, at.gain_interval.high),
        )
        for at in found.curve
    ]
    headings = ("k", "base", "95 % interval", "policy", "95 % interval", "gain", "95 % interval")
    return Grid("pass@k: solved by at least one of k attempts", headings, tuple(rows))


def _range_grid(ranges: Sequence[Range]) -> Grid:
    rows = [
        (
            each.policy,
            percent(each.sequences),
            f"{each.sequence_entropy:.2f}",
            "-" if each.action_entropy is None else f"{each.action_entropy:.3f}",
            f"{each.steps:.1f}",
        )
        for each in ranges
    ]
    headings = ("who", "distinct sequences", "their entropy", "entropy of an action", "steps")
    return Grid("How different the attempts at a task are", headings, tuple(rows))


def _picture(found: Diversity) -> Chart:
    curves = (
        Curve(
            "base",
            tuple(
                Dot(at.k, at.base, at.base_interval.low, at.base_interval.high)
                for at in found.curve
            ),
        ),
        Curve(
            "policy",
            tuple(
                Dot(at.k, at.trained, at.trained_interval.low, at.trained_interval.high)
                for at in found.curve
            ),
        ),
    )
    return Chart(
        title="pass@k with 95 % intervals over tasks",
        across="k",
        up="solved",
        curves=curves,
        doubling=True,
    )


DIVERSITY = Audit(
    name="diversity",
    options=Options,
    cost=diversity_cost,
    examine=examine,
    notes=(
        "pass@k is the unbiased estimate (Chen et al. 2021); k goes up to the attempts at a task.",
        "Both policies attempt the same tasks equally often.",
    ),
)
