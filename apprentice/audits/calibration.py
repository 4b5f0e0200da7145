"""`audit calibration`: do the policy's confidences mean what they say?

Three side by side, of the same attempts: how likely its own actions were to it (free: they are
recorded), what it says when asked in its own transcript after the last action, and what it puts
into words about the record. A last row permutes the endings: what no knowledge at all looks like.

Shape suffix: N attempts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from math import exp

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.critics.judge import Judge
from apprentice.audits.conduct import Audit, Work, judge_or_self, room_of, votes_of
from apprentice.audits.cost import Cost, record_length
from apprentice.build import make_environment
from apprentice.findings.report import Chart, Curve, Dot, Findings, Grid, percent
from apprentice.findings.sample import Wanted, collected
from apprentice.settings.config import Config
from distill.audit.calibration import Calibration, calibration
from environments.environment import Environment
from environments.episode import Episode
from environments.seed import derive

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

OFF = "off"
"""Written for a judge where nobody is to be asked."""

TELLS = 0.5
"""AUROC of confidences that know nothing of the ending."""


class Confidence(StrEnum):
    """Where a confidence comes from."""

    TOKENS = "token probability"  # geometric mean of the chances of its actions
    AFTER = "post-completion"  # yes or no, asked in its own transcript
    WORDS = "verbalized"  # a percentage, of the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    wanted: Wanted = field(default_factory=Wanted)
    judge: str = ""  # empty: the policy itself; `off`: only what is recorded


@dataclass(frozen=True, slots=True)
class Row:
    """How one kind of confidence fits the endings."""

    name: str
    found: Calibration


def calibration_cost(config: Config, options: Options) -> Cost:
    """Return what the audit asks for."""
    wanted = options.wanted
    sample = collected(config, wanted)
    attempts = wanted.attempts * (wanted.tasks if sample.missing else len(sample.groups))
    use = calibration_judge(config, options)
    if not use:
        return Cost(episodes=len(sample.missing))
    calls = 2 * attempts * votes_of(config, use)
    characters = calls * record_length(config, sample, room_of(config, use))
    return Cost(episodes=len(sample.missing), calls=calls, characters=characters)


def calibration_judge(config: Config, options: Options) -> str:
    """Return the setting of who is asked; empty: nobody."""
    return "" if options.judge == OFF else judge_or_self(config, options.judge)


def examine(work: Work, options: Options) -> Findings:
    """Gather the confidences and hold them against the endings."""
    groups = work.attempts(work.config, options.wanted)
    episodes = list(chain.from_iterable(groups))
    told: dict[Confidence, Sequence[float | None]] = {
        Confidence.TOKENS: [of_tokens(each) for each in episodes]
    }
    judge = ""
    if calibration_judge(work.config, options):
        world = make_environment(work.config)
        judge, asked = asyncio.run(_ask(work, options, episodes, world))
        told |= asked
    rng = np.random.default_rng(derive(work.config.seed, "audit calibration"))
    rows = list(rows_of(episodes, told, rng))
    return Findings(
        verdict=tuple(_sentences(episodes, rows)),
        models={"policy": ", ".join(sorted({each.policy for each in episodes})), "judge": judge},
        samples={
            "attempts": len(episodes),
            "tasks": len(groups),
            "solved": sum(each.solved for each in episodes),
        },
        figures={"rows": {row.name: row.found for row in rows}},
        grids=(_grid(rows),),
        pictures=(_picture(rows),) if rows else (),
    )


async def _ask(
    work: Work, options: Options, episodes: Sequence[Episode], world: Environment
) -> tuple[str, Mapping[Confidence, Sequence[float]]]:
    calls = calibration_cost(work.config, options).calls
    async with work.judge(calibration_judge(work.config, options), calls) as judge:
        asked: dict[Confidence, Callable[[Episode], Awaitable[float]]] = {
            Confidence.AFTER: _after(judge, world),
            Confidence.WORDS: judge.sure,
        }
        found = {
            name: await asyncio.gather(*(ask(each) for each in episodes))
            for name, ask in asked.items()
        }
    return judge.name, found


def _after(judge: Judge, world: Environment) -> Callable[[Episode], Awaitable[float]]:
    return lambda episode: judge.finished(episode, world.instructions)


def of_tokens(episode: Episode) -> float | None:
    """Return the geometric mean of the chances of its actions; None: they were not recorded."""
    sums = [sum(step.completion.logprobs) for step in episode.steps]
    if not all(step.completion.logprobs for step in episode.steps):
        return None
    return exp(sum(sums) / len(sums))


def rows_of(
    episodes: Sequence[Episode],
    told: Mapping[Confidence, Sequence[float | None]],
    rng: Generator,
) -> Iterator[Row]:
    """Yield how each confidence fits, and how its like would by chance."""
    solved_N = np.array([each.solved for each in episodes])
    for name, confidences in told.items():
        known = [at for at, value in enumerate(confidences) if value is not None]
        if not known:
            continue
        confidence_N = np.array([confidences[at] for at in known], dtype=float)
        # The sum of many logprobs may leave 1 by a rounding.
        clipped_N = np.clip(confidence_N, 0.0, 1.0)
        yield Row(name.value, calibration(clipped_N, solved_N[known], rng))
        permuted_N = rng.permutation(solved_N[known])
        yield Row(f"{name.value}, endings permuted", calibration(clipped_N, permuted_N, rng))


def _sentences(episodes: Sequence[Episode], rows: Sequence[Row]) -> Iterator[str]:
    solved = sum(each.solved for each in episodes)
    if solved in (0, len(episodes)):
        word = "none" if not solved else "all"
        yield f"{word} of {len(episodes)} attempts were solved: no confidence can tell them apart"
    for row in rows[::2]:
        found = row.found
        inside = "inside" if found.calibrated else "outside"
        knows = "-" if found.auroc is None else f"{found.auroc:.2f}"
        yield (
            f"{row.name}: ECE {found.ece:.3f}, {inside} the band of exact confidences (up to "
            f"{found.ece_null_high:.3f}); AUROC {knows}; {found.distinct} distinct values"
        )


def _grid(rows: Sequence[Row]) -> Grid:
    headings = (
        "confidence", "attempts", "solved", "mean", "distinct", "Brier", "ECE", "by chance",
        "band", "AUROC", "reliability", "resolution",
    )  # fmt: skip
    told = [
        (
            row.name,
            str(row.found.count),
            percent(row.found.accuracy),
            percent(row.found.confidence),
            str(row.found.distinct),
            f"{row.found.brier:.3f}",
            f"{row.found.ece:.3f}",
            f"{row.found.ece_null:.3f}",
            f"{row.found.ece_null_high:.3f}",
            "-" if row.found.auroc is None else f"{row.found.auroc:.3f}",
            f"{row.found.reliability:.3f}",
            f"{row.found.resolution:.3f}",
        )
        for row in rows
    ]
    return Grid("Each kind of confidence", headings, tuple(told))


def _picture(rows: Sequence[Row]) -> Chart:
    curves = tuple(
        Curve(
            row.name,
            tuple(
                Dot(each.confidence, each.accuracy, each.interval.low, each.interval.high)
                for each in row.found.bins
            ),
        )
        for row in rows[::2]
    )
    return Chart(
        title="Reliability: the share solved at each confidence, with 95 % intervals",
        across="confidence",
        up="solved",
        curves=curves,
        diagonal=True,
    )


CALIBRATION = Audit(
    name="calibration",
    options=Options,
    cost=calibration_cost,
    judge=calibration_judge,
    examine=examine,
    notes=(
        "ECE has ten bins; its band is what confidences that are exactly right would give on as "
        "many attempts. A constant confidence can be inside it and know nothing: read the AUROC "
        "(0.5 knows nothing) and the number of distinct values beside it.",
        "Attempts at one task are alike, so the band is, if anything, too narrow.",
    ),
)
