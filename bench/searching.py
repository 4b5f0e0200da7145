"""What search adds to a policy that is learning: as it acts, and as something to learn from.

A short cold start makes a policy that solves some held-out rooms. Row `search`: it takes the exam
by the best way that a search finds, with the world as outcome critic. Then it goes on learning from
its own successes at train tasks, from the same weights twice: `search-demonstrations` are one of
each task that a search solves, `successes` as many of plain attempts at the same tasks. Figures are
printed as they come, for seeds take minutes.
"""

import asyncio
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import perf_counter

import torch

from agent.attempt import Attempt, Limits
from agent.search.attempts import searched
from agent.search.critics import WORLD_ALONE
from agent.search.harvest import demonstrations
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.walk import Scene
from bench.figures import Figure, flags, report
from bench.learning import KIND, RECEPTACLES, SMALL
from bench.schooling import (
    LANES,
    STEPS,
    Course,
    Pupil,
    acting,
    cold_start,
    enrolled,
    played,
    take_weights,
)
from distill.objectives.presets import PRESETS
from distill.sequences.collate import Chosen
from distill.teaching.curriculum import dealt, demonstrated
from distill.teaching.excursions import rehearsed
from distill.training.study import study
from distill.training.train import Pace, Training
from environments.episode import Episode, Split, Task
from environments.household.household import Household
from environments.seed import derive
from memory.making.prune import prune
from memory.proof.intervals import paired, wilson

WEAK = replace(SMALL, demonstrations=8, passes=4, practice_steps=STEPS)
"""A cold start after which 20 to 60 % of the rooms are solved."""

AGAIN = Pace(rate=5e-5, warmup=2)  # the cold start's is half over where it ends

AT_ONCE = 8  # branches of one search
MOST_ROUNDS = 8  # of plain attempts, to find as many successes as the searches found


@dataclass(frozen=True, slots=True)
class Size:
    rooms: int  # examined
    tasks: int  # of train, searched and attempted
    passes: int  # over what was found


FULL = Size(rooms=40, tasks=16, passes=3)
QUICK = Size(rooms=2, tasks=2, passes=1)


def main() -> None:
    options = _told()
    torch.set_num_threads(options.threads)
    size = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("rooms", "tasks", "passes")}
    size = replace(size, **{k: v for k, v in given.items() if v is not None})
    world = Household.generated(kinds=(KIND,), max_receptacles=RECEPTACLES)
    course = replace(WEAK, demonstrations=2, passes=1) if options.quick else WEAK
    pupil = _weak(world, course, options)
    exam = world.tasks(Split.DEV)[: size.rooms]
    before = played(pupil, exam)
    figures: dict[str, Figure] = {"rooms": len(exam), **_row("cold-start", before)}
    _say(figures)
    if not options.seeds_only:
        figures |= _acting_with_search(pupil, exam)
        _say(figures)
    figures |= _learning(pupil, exam, size, options.seeds)
    report("searching", figures, json_path=options.json, packages=("torch", "transformers"))


def found_by_search(
    pupil: Pupil, tasks: Sequence[Task], seed: int
) -> tuple[list[Episode], list[Search]]:
    """Return the way that a search finds for each task, and the searches that ended."""
    policy = acting(pupil, temperature=1.0)
    scene = Scene(
        environment=pupil.world,
        policy=policy,
        fast=policy,
        critics=WORLD_ALONE,
        limits=Limits(steps=STEPS),
    )
    attempts = [Attempt(id=f"{t.id}#{seed}", task=t, seed=derive(seed, t.id)) for t in tasks]
    searches: list[Search] = []

    async def all_of_them() -> list[Episode]:
        found = searched(
            scene,
            attempts,
            settings=SearchSettings(at_once=AT_ONCE),
            clock=lambda: datetime.now(UTC),
            concurrency=LANES // AT_ONCE,
            on_search=searches.append,
        )
        async with aclosing(found):
            episodes = [episode async for episode in found]
        await policy.close()
        return episodes

    return asyncio.run(all_of_them()), searches


def found_by_trying(pupil: Pupil, tasks: Sequence[Task], wanted: int, seed: int) -> list[Episode]:
    """Return so many successes of plain attempts at some tasks, the first ones; or fewer."""
    solved: list[Episode] = []
    for number in range(MOST_ROUNDS):
        tried = played(pupil, tasks, name=f"{seed}-{number}")
        solved += [each for each in tried if each.solved]
        if len(solved) >= wanted:
            break
    return solved[:wanted]


def learn_from(pupil: Pupil, episodes: Iterable[Episode], passes: int, seed: int) -> None:
    """Imitate what was done, pruned to what mattered, with fresh detours in each pass."""
    rng = Random(derive(seed, "again"))
    plans = [(each.task, _plan(pupil, each)) for each in episodes]
    steps: list[tuple[Chosen, ...]] = []
    for _ in range(passes):
        readings = rehearsed(
            pupil.world, plans, detours=pupil.course.detours, rng=rng, now=datetime.now(UTC)
        )
        steps += dealt(demonstrated(readings), pupil.course.per_step, rng)
    training = Training(pupil.student, replace(AGAIN, until=len(steps) + 1))
    study(training, pupil.encoder, steps, PRESETS["cold-start"], clock=perf_counter)


def _weak(world: Household, course: Course, options: Namespace) -> Pupil:
    pupil = enrolled(world, course, 0, options.cache)
    kept: Path | None = options.weights
    if kept is not None and kept.exists():
        take_weights(pupil, kept)
        return pupil
    cold_start(pupil)
    if kept is not None:
        torch.save(pupil.student.copy(), kept)
    return pupil


def _acting_with_search(pupil: Pupil, exam: Sequence[Task]) -> dict[str, Figure]:
    sampled = played(pupil, exam, name="alone")
    episodes, searches = found_by_search(pupil, exam, seed=0)
    count = max(1, len(searches))
    return {
        **_row("sampled", sampled),
        **_row("search", episodes),
        "search: simulated_steps": sum(each.spent.steps for each in searches) / count,
        "search: turns": sum(each.spent.turns for each in searches) / count,
    }


def _learning(pupil: Pupil, exam: Sequence[Task], size: Size, seeds: int) -> dict[str, Figure]:
    """Return what is solved after learning from either, on the same rooms with every seed."""
    cold = pupil.student.copy()
    ends: dict[str, list[bool]] = {"search-demonstrations": [], "successes": []}
    figures: dict[str, Figure] = {}
    for seed in range(seeds):
        pupil.student.load(cold)
        found = _found(pupil, size, seed)
        for row, episodes in found.items():
            pupil.student.load(cold)
            learn_from(pupil, episodes, size.passes, seed)
            after = played(pupil, exam)
            ends[row] += [each.solved for each in after]
            figures |= _row(f"{row}, seed {seed}", after)
            figures[f"{row}, seed {seed}: tasks"] = len({each.task.id for each in episodes})
            figures[f"{row}, seed {seed}: demonstrations"] = len(episodes)
        _say(figures)
    return figures | _compared(ends["search-demonstrations"], ends["successes"])


def _found(pupil: Pupil, size: Size, seed: int) -> Mapping[str, Sequence[Episode]]:
    """Return as many successes by search as by trying, at the same tasks of the train split."""
    tasks = Random(derive(seed, "tasks")).sample(pupil.world.tasks(Split.TRAIN), size.tasks)
    by_search = demonstrations(found_by_search(pupil, tasks, seed)[0], per_task=1)
    by_trying = found_by_trying(pupil, tasks, len(by_search), seed)
    many = min(len(by_search), len(by_trying))
    return {"search-demonstrations": by_search[:many], "successes": by_trying[:many]}


def _compared(ours: Sequence[bool], theirs: Sequence[bool]) -> dict[str, Figure]:
    """Return how many points more one row solves than the other, with the paired interval."""
    if not ours:
        return {}
    pairs = Counter(zip(ours, theirs, strict=True))
    low, high = paired(pairs[True, False], pairs[False, True], len(ours)).tolist()
    return {
        "search-demonstrations over successes": (sum(ours) - sum(theirs)) / len(ours),
        "search-demonstrations over successes: interval": f"{low:+.3f} to {high:+.3f}",
    }


def _plan(pupil: Pupil, episode: Episode) -> tuple[str, ...]:
    return tuple(move.action for move in prune(episode, pupil.world).moves)


def _row(name: str, episodes: Sequence[Episode]) -> dict[str, Figure]:
    share = sum(each.solved for each in episodes) / len(episodes)
    low, high = wilson(share, len(episodes)).tolist()
    return {f"{name}: solved": share, f"{name}: interval": f"{low:.3f} to {high:.3f}"}


def _say(figures: Mapping[str, Figure]) -> None:
    told = {name: value for name, value in figures.items() if name.endswith(("solved", "tasks"))}
    print(told, flush=True)


def _told() -> Namespace:
    parser = flags(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="of learning; 0: only the search")
    parser.add_argument("--seeds-only", action="store_true", help="the search takes no exam")
    parser.add_argument("--rooms", type=int, help="examined")
    parser.add_argument("--tasks", type=int, help="of train, searched and attempted")
    parser.add_argument("--passes", type=int, help="over what was found")
    parser.add_argument("--weights", type=Path, help="of the cold start: kept here, or read")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    return parser.parse_args()


if __name__ == "__main__":
    main()
