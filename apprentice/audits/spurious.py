"""`audit spurious`: how much of what training gains would a meaningless reward have gained?

The true run and its twins begin with the same weights and are examined on the same held-out tasks.
Two rows are not trained: the beginning itself, and the beginning shown an example in its prompt.
Each run that is done is kept, so an audit that was stopped trains none of them again.

Shape suffix: P held-out tasks.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apprentice.audits.conduct import Audit, Work
from apprentice.audits.cost import Cost
from apprentice.audits.lesson import Lesson
from apprentice.findings.place import AuditError
from apprentice.findings.progress import counting
from apprentice.findings.report import Bar, Findings, Grid, Whiskers, between, percent, signed
from apprentice.findings.sample import name_of
from apprentice.settings.acting import BASE, LOCAL, Named, find_acting
from apprentice.settings.config import Config
from distill.audit.bootstrap import resampled_means, spread
from distill.audit.spurious import Reading, Spurious, Twin, spurious
from environments.seed import derive
from memory.proof.intervals import Interval

if TYPE_CHECKING:
    from apprentice.audits.classroom import Classroom
    from distill.audit.twins import Arm

Floats = NDArray[np.float64]

RUNS = "runs.jsonl"
"""The file of the runs that are done, one a line."""

NONE, PROMPT = "no update", "no update, an example in the prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    lesson: Lesson = field(default_factory=Lesson)
    twins: tuple[Twin, ...] = tuple(Twin)
    unclipped: bool = True  # each twin also without clipping
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run with one seed."""

    name: str
    seed: int
    solved: tuple[float, ...]  # share of each held-out task


def spurious_cost(config: Config, options: Options) -> Cost:
    """Return what the audit asks for, at most: attempts that are all alike teach nothing."""
    from distill.audit.twins import arms

    lesson, runs = options.lesson, len(arms(options.twins, unclipped_too=options.unclipped))
    # The first practice is common to all runs but the one-task run, which has its own.
    practised = lesson.practised * (2 + runs * (lesson.rounds - 1)) if lesson.rounds else 0
    examined = lesson.examined * (runs + 2)
    learned = lesson.practised * lesson.rounds * runs
    shown = 0
    if find_acting(config, Named.parse(config.policy.use)).adapter == BASE:
        shown = lesson.demonstrations * config.distill.passes
    return Cost(
        episodes=options.seeds * (practised + examined), updates=options.seeds * learned + shown
    )


def examine(work: Work, options: Options) -> Findings:
    """Train every run that is not done yet, and hold them against each other."""
    config = work.config
    if Named.parse(config.policy.use).kind != LOCAL:
        raise AuditError(f"{config.policy.use} cannot be trained here; name a --policy local:MODEL")
    runs = _all_runs(work, options)
    rng = np.random.default_rng(derive(config.seed, "audit spurious"))
    return findings(runs, rng, policy=name_of(config.policy.use), options=options)


def findings(runs: Sequence[Run], rng: Generator, *, policy: str, options: Options) -> Findings:
    """Return what the runs say of each other."""
    from distill.audit.twins import arms

    by_name = means(runs)
    none_P = by_name[NONE]
    scores: dict[str, Spurious] = {}
    for arm in arms(options.twins, unclipped_too=options.unclipped):
        if arm != arm.reference:
            true_P = by_name[arm.reference.name]
            scores[arm.name] = spurious(none_P, by_name[arm.name], true_P, rng)
    scores[PROMPT] = spurious(none_P, by_name[PROMPT], by_name[_true(options).name], rng)
    gains = {name: _gain(none_P, solved_P, rng) for name, solved_P in by_name.items()}
    return Findings(
        verdict=tuple(_sentences(scores, gains, options)),
        models={"policy": policy, "judge": ""},
        samples={
            "held-out tasks": len(none_P),
            "tries each": options.lesson.tries,
            "seeds": options.seeds,
            "runs": len(runs),
        },
        figures={
            "solved": {name: float(solved_P.mean()) for name, solved_P in by_name.items()},
            "gains": {name: {"gain": g, "interval": i} for name, (g, i) in gains.items()},
            "scores": scores,
            "per_task": {name: solved_P.tolist() for name, solved_P in by_name.items()},
        },
        grids=(_grid(by_name, gains, scores),),
        pictures=(_picture(gains),),
    )


def means(runs: Sequence[Run]) -> dict[str, Floats]:
    """Return the share solved of each task by run, a mean over seeds."""
    names = dict.fromkeys(run.name for run in runs)
    return {
        name: np.mean([run.solved for run in runs if run.name == name], axis=0) for name in names
    }


def _all_runs(work: Work, options: Options) -> list[Run]:
    """Return every run; those that are in the file are not made again."""
    from distill.audit.twins import arms

    file = work.place.folder / RUNS
    trained = {each.name: each for each in arms(options.twins, unclipped_too=options.unclipped)}
    wanted = [(n, s) for s in range(options.seeds) for n in (NONE, PROMPT, *trained)]
    done = read_runs(file)
    known = {(run.name, run.seed) for run in done}
    left = [each for each in wanted if each not in known]
    if not left:
        return done
    from apprentice.audits.classroom import open_classroom

    room = open_classroom(work.config, options.lesson, work.spent)
    with counting("runs", len(left)) as seen:
        for name, seed in left:
            solved = _solved(room, trained.get(name), name, derive(work.config.seed, seed))
            done.append(Run(name, seed, tuple(solved)))
            _append(file, done[-1])
            seen()
    return done


def _solved(room: "Classroom", arm: "Arm | None", name: str, seed: int) -> list[float]:
    from apprentice.audits.classroom import examine as examined
    from apprentice.audits.classroom import example, run_arm

    if arm is not None:
        return run_arm(room, arm, seed)
    room.training.student.load(room.start)
    return examined(room, seed, example(room) if name == PROMPT else "")


def read_runs(file: Path) -> list[Run]:
    """Return the runs that are done; half a line at the end is one that was not."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    return [Run(each["name"], each["seed"], tuple(each["solved"])) for each in told]


def _append(file: Path, run: Run) -> None:
    kept = [*read_runs(file), run]
    lines = [json.dumps({"name": r.name, "seed": r.seed, "solved": r.solved}) for r in kept]
    pending = file.with_name(f".{file.name}")
    pending.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pending.replace(file)


def _gain(none_P: Floats, solved_P: Floats, rng: Generator) -> tuple[float, Interval]:
    gain_P = solved_P - none_P
    return float(gain_P.mean()), spread(resampled_means(gain_P[:, None], rng)[:, 0])


def _true(options: Options) -> "Arm":
    from distill.audit.twins import arms

    return arms(options.twins, unclipped_too=options.unclipped)[0]


def _sentences(
    scores: Mapping[str, Spurious],
    gains: Mapping[str, tuple[float, Interval]],
    options: Options,
) -> Iterator[str]:
    name = _true(options).name
    gain, interval = gains[name]
    yield f"the true reward gained {signed(gain)} ({between(interval.low, interval.high)})"
    if all(score.reading is Reading.NO_GAIN for score in scores.values()):
        yield "that is not surely a gain, so there is nothing for a meaningless reward to explain"
        return
    for name, score in scores.items():
        if score.reading is not Reading.NO_GAIN and score.score is not None:
            yield f"{name}: S = {_score(score)}: {score.reading}"


def _score(found: Spurious) -> str:
    if found.score is None:
        return "-"
    if found.interval is None:
        return f"{found.score:.2f}"
    return f"{found.score:.2f} ({found.interval.low:.2f} to {found.interval.high:.2f})"


def _grid(
    by_name: Mapping[str, Floats],
    gains: Mapping[str, tuple[float, Interval]],
    scores: Mapping[str, Spurious],
) -> Grid:
    rows = [
        (
            name,
            percent(float(solved_P.mean())),
            signed(gains[name][0]),
            between(gains[name][1].low, gains[name][1].high),
            _score(scores[name]) if name in scores else "-",
            scores[name].reading.value if name in scores else "-",
        )
        for name, solved_P in by_name.items()
    ]
    headings = ("run", "solved", "gain", "95 % interval", "S", "reading")
    return Grid("Every run, examined on the same held-out tasks", headings, tuple(rows))


def _picture(gains: Mapping[str, tuple[float, Interval]]) -> Whiskers:
    bars = tuple(
        Bar(name, gain, interval.low, interval.high) for name, (gain, interval) in gains.items()
    )
    return Whiskers(
        title="What each run gained over no update, with its 95 % interval",
        across="gain in share solved",
        bars=bars,
    )


SPURIOUS = Audit(
    name="spurious",
    options=Options,
    cost=spurious_cost,
    examine=examine,
    notes=(
        "S is the gain of a run as a share of what the true reward gained: under 0.2 the claim of "
        "learning stands, up to 0.6 it is doubtful, above it is rejected.",
        "Intervals are drawn over held-out tasks; other seeds would widen them.",
        "Where a policy can only write legal actions, a reward for format pays everything alike.",
    ),
)
