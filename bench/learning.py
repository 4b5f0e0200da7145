"""The learning curve: what each way of learning is worth, on the same held-out tasks.

One row a way of learning, from acting at random to reward and critique together, each with and
without memory. All rows of a seed begin with the same cold start and are examined greedily, one
attempt a task. `--games` plays ALFWorld's own games, else generated rooms. A file given with
`--test` is only ever examined. The table is Markdown, and `--plot` draws it.
"""

import asyncio
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from bench.figures import Figure, flags, report
from bench.memory_household import measured, options_of
from bench.schooling import (
    Course,
    Pupil,
    acting,
    cold_start,
    enrolled,
    keep,
    played,
    practise,
    random_walks,
)
from distill.models.student import Trained
from distill.teaching.excursions import Detours
from environments.environment import Environment
from environments.episode import Episode, Split, Task
from environments.household.household import Household
from memory.proof.intervals import paired, wilson

MEMORY = "+memory"
RANDOM, ZERO, COLD = "random", "zero-shot", "cold-start"
PRACTICED = ("reward", "critique", "reward+critique")
ROWS = (RANDOM, *(row + more for row in (ZERO, COLD, *PRACTICED) for more in ("", MEMORY)))
DEV = "dev"

ALFWORLD = Course(
    demonstrations=240,
    passes=8,
    per_step=2,
    rounds=3,
    tasks=16,
    attempts=4,
    practice_rate=2e-5,
    practice_steps=30,
    detours=Detours(chance=0.4, blunder=0.02),
)
SMALL = Course(
    demonstrations=16,
    passes=7,
    rate=2e-4,
    per_step=2,
    rounds=1,
    tasks=28,
    attempts=2,
    practice_rate=1.5e-4,
    replay=2,
    detours=Detours(chance=0.6, blunder=0.0),
    length=1024,
)
QUICK = replace(SMALL, demonstrations=4, passes=1, rounds=1, tasks=2, attempts=2)

DEFAULT_ROWS = (RANDOM, ZERO, COLD, PRACTICED[-1])

BESIDE = (
    *((row, COLD) for row in PRACTICED),
    *((PRACTICED[-1], row) for row in PRACTICED[:-1]),
    *((row + MEMORY, row) for row in (ZERO, COLD, *PRACTICED)),
)
"""Which row is compared with which."""

KIND, RECEPTACLES = "pick_and_place_simple", 6  # of the generated rooms
QUICK_TASKS = 4
COURSE = ("passes", "rounds", "demonstrations", "trained")  # what a flag may change


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one row with one seed on one split."""

    row: str
    split: str
    seed: int
    episodes: tuple[Episode, ...]
    seconds: float  # of learning
    wall: float  # of everything since the seed began
    own: int  # episodes practised


@dataclass(slots=True)
class School:
    """What all rows share."""

    world: Environment
    exams: Mapping[str, tuple[Environment, Sequence[Task]]]
    course: Course
    cache: Path
    rows: Sequence[str]
    games: Path | None = None  # None: generated rooms
    home: Path | None = None  # where adapters are kept; None: they are not
    began: float = field(default_factory=perf_counter)
    results: list[Result] = field(default_factory=list[Result])

    def examine(self, pupil: Pupil, row: str) -> None:
        """Let a pupil take all exams, and the one on dev tasks with memory too, if asked for."""
        if self.home is not None and row not in (RANDOM, ZERO):
            keep(pupil, self.home, f"{row.replace('+', '-and-')}-{pupil.seed}", row)
        for split, (world, tasks) in self.exams.items():
            home, pupil.world = pupil.world, world
            episodes = (random_walks if row == RANDOM else played)(pupil, tasks)
            pupil.world = home
            self._note(pupil, row, split, episodes)
        if row + MEMORY in self.rows:
            self._note(pupil, row + MEMORY, DEV, self._reminded(pupil))

    def _reminded(self, pupil: Pupil) -> Sequence[Episode]:
        """Return the dev exam, taken with all that memory keeps of walkthroughs and attempts."""
        count = str(pupil.course.demonstrations)
        games = ["--games", str(self.games)] if self.games else ["--kind", KIND]
        options = options_of(
            [*games, "--seed", str(pupil.seed), "--walkthroughs", count, "--attempts", count,
             "--receptacles", str(RECEPTACLES), "--tasks", str(len(self.exams[DEV][1]))]
        )  # fmt: skip
        with TemporaryDirectory() as folder:
            (both,) = asyncio.run(measured(options, Path(folder), acting(pupil), ["both"]))
        return both.episodes

    def _note(self, pupil: Pupil, row: str, split: str, episodes: Sequence[Episode]) -> None:
        self.results.append(
            Result(
                row=row,
                split=split,
                seed=pupil.seed,
                episodes=tuple(episodes),
                seconds=pupil.seconds,
                wall=perf_counter() - self.began,
                own=pupil.episodes,
            )
        )
        print(_line(self.results[-1]), flush=True)


def main() -> None:
    options = told()
    torch.set_num_threads(options.threads)
    course = QUICK if options.quick else ALFWORLD if options.games else SMALL
    given = {name: getattr(options, name) for name in COURSE}
    course = replace(course, **{name: value for name, value in given.items() if value is not None})
    world = _world(options.games)
    most = QUICK_TASKS if options.quick else options.tasks
    exams: dict[str, tuple[Environment, Sequence[Task]]] = {
        DEV: (world, world.tasks(Split.DEV)[:most])
    }
    if options.test:
        other = _world(options.test)
        held_out = (*other.tasks(Split.TEST), *other.tasks(Split.DEV))
        exams["test"] = (other, held_out[:most])
    results: list[Result] = []
    for seed in range(options.first, options.first + options.seeds):
        school = School(
            world, exams, course, options.cache, options.rows, options.games, options.home
        )
        attend(school, seed, options.minutes)
        results += school.results
    print(by_kind(results) + "\n\n" + differences(results))
    report("learning", figures(results, course), json_path=options.json, packages=("torch",))
    if options.plot:
        draw(results, options.plot)


def told() -> Namespace:
    """Return what the command line says."""
    parser = flags(__doc__)
    parser.add_argument("--games", type=Path, help="ALFWorld's; else generated rooms")
    parser.add_argument("--dev", choices=("valid_seen", "dev"), default="dev")
    parser.add_argument("--test", type=Path, help="games that are only examined")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--minutes", type=float, help="a seed may take, all included")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=DEFAULT_ROWS)
    parser.add_argument("--tasks", type=int, help="examined, the first so many; else all")
    parser.add_argument("--passes", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--demonstrations", type=int)
    parser.add_argument("--trained", type=Trained)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--home", type=Path, help="keep the adapters here, for `apprentice`")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    return parser.parse_args()


def attend(school: School, seed: int, minutes: float | None) -> None:
    """Let a pupil go through all rows that were asked for; one with memory follows its own."""
    rows = {row.removesuffix(MEMORY) for row in school.rows}
    deadline = None if minutes is None else school.began + 60 * minutes
    pupil = enrolled(school.world, school.course, seed, school.cache)
    for row in (each for each in (RANDOM, ZERO) if each in rows):
        school.examine(pupil, row)
    practiced = [row for row in PRACTICED if row in rows]
    if COLD not in rows and not practiced:
        return
    cold_start(pupil, deadline)
    if COLD in rows:
        school.examine(pupil, COLD)
    cold, seconds, shown = pupil.student.copy(), pupil.seconds, dict(pupil.plans)
    for row in practiced:  # each as if there had been no other before
        pupil.student.load(cold)
        pupil.seconds, pupil.episodes = seconds, 0
        pupil.plans, pupil.learned_from = dict(shown), []
        pupil.course = replace(pupil.course, preset=row)
        for number in range(pupil.course.rounds):
            if not practise(pupil, number, deadline):
                break
        school.examine(pupil, row)


def figures(results: Sequence[Result], course: Course) -> dict[str, Figure]:
    """Return the figures of all rows, the seeds of a row taken together."""
    found: dict[str, Figure] = {"demonstrations": course.demonstrations}
    for (row, split), those in together(results).items():
        episodes = [episode for each in those for episode in each.episodes]
        low, high = wilson(_share(episodes), len(episodes)).tolist()
        name = row if split == DEV else f"{row} on {split}"
        found |= {
            f"{name}: solved": _share(episodes),
            f"{name}: interval": f"{low:.3f} to {high:.3f}",
            f"{name}: mean_steps": fmean(len(each.steps) for each in episodes),
            f"{name}: prompt_tokens": fmean(each.prompt_tokens for each in episodes),
            f"{name}: minutes": fmean(each.wall for each in those) / 60,
            f"{name}: minutes_learning": fmean(each.seconds for each in those) / 60,
            f"{name}: episodes": fmean(each.own for each in those),
        }
    return found


def by_kind(results: Sequence[Result]) -> str:
    """Return the shares solved by kind of task, as a Markdown table."""
    kinds = sorted({episode.task.kind for each in results for episode in each.episodes})
    head = ["row", "all", *kinds]
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    for (row, split), those in together(results).items():
        episodes = [episode for each in those for episode in each.episodes]
        cells = [f"{_share(episodes):.1%}"]
        for kind in kinds:
            alike = [episode for episode in episodes if episode.task.kind == kind]
            cells.append(f"{sum(e.solved for e in alike)}/{len(alike)}")
        lines.append(f"| {row} ({split}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(results: Sequence[Result]) -> str:
    """Return by how much more one row solves than another of the same tasks and seeds.

    A Markdown table, with paired 95 % intervals.
    """
    groups = together([each for each in results if each.split == DEV])
    lines = ["| row | against | difference | 95 % | pairs |", "| --- | --- | ---: | ---: | ---: |"]
    for row, other in BESIDE:
        if {(row, DEV), (other, DEV)} <= groups.keys():
            ours, theirs = _ends(groups[row, DEV]), _ends(groups[other, DEV])
            ends = Counter((ours[each], theirs[each]) for each in ours.keys() & theirs.keys())
            wins, losses, pairs = ends[True, False], ends[False, True], ends.total()
            low, high = paired(wins, losses, pairs).tolist()
            gain = (wins - losses) / pairs
            lines.append(f"| {row} | {other} | {gain:+.1%} | {low:+.1%} to {high:+.1%} | {pairs} |")
    return "\n".join(lines)


def together(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Return the results of all seeds by row and split."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for each in results:
        groups[each.row, each.split].append(each)
    return groups


def draw(results: Sequence[Result], file: Path) -> None:
    """Draw the share solved of each row with its interval."""
    from matplotlib import pyplot

    groups = together(results)
    rows, splits = (list(dict.fromkeys(names)) for names in zip(*groups, strict=True))
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for (row, split), those in groups.items():
        episodes = [episode for each in those for episode in each.episodes]
        share, number = _share(episodes), splits.index(split)
        low, high = wilson(share, len(episodes)).tolist()
        edges = [[max(0.0, share - low)], [max(0.0, high - share)]]  # low is 0 but for rounding
        place = rows.index(row) + (number - (len(splits) - 1) / 2) * 0.15
        label = split if row == rows[0] else None
        axes.errorbar(place, share, edges, fmt="o", capsize=4, color=f"C{number}", label=label)
        axes.annotate(f"{share:.0%}", (place, share), (8, 0), textcoords="offset points")
    axes.set(xticks=range(len(rows)), xticklabels=rows, ylim=(-0.03, 1.03), ylabel="solved (95 %)")
    axes.legend(loc="center right")
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(file, dpi=110)


def _world(games: Path | None) -> Household:
    if games is not None:
        return Household.from_games(games)
    return Household.generated(kinds=(KIND,), max_receptacles=RECEPTACLES)


def _line(result: Result) -> str:
    low, high = wilson(_share(result.episodes), len(result.episodes)).tolist()
    return (
        f"== {result.row} on {result.split}, seed {result.seed}: {_share(result.episodes):.1%}"
        f" of {len(result.episodes)} ({low:.0%} to {high:.0%}), {result.wall / 60:.1f} min"
    )


def _ends(results: Sequence[Result]) -> dict[tuple[int, str], bool]:
    """Return what was solved, by seed and task."""
    return {(each.seed, e.task.id): e.solved for each in results for e in each.episodes}


def _share(episodes: Sequence[Episode]) -> float:
    return sum(each.solved for each in episodes) / len(episodes)


if __name__ == "__main__":
    main()
