"""Does the local model learn the easiest household from its own episodes, and in what time?

One task type, rooms of at most six receptacles. A few demonstrations, then rounds of practice;
examined greedily on held-out rooms before, after the cold start, and at the end. `seconds` is what
learning takes, without the exams. `--trained lora` is the same with adapters, which want five to
ten times the rates (`--rate`, `--practice-rate`).
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from bench.figures import Figure, flags, report
from bench.learning import KIND, RECEPTACLES, SMALL
from bench.schooling import Course, Pupil, cold_start, enrolled, played, practise
from bench.train import memory_mb
from distill.models.student import Trained
from distill.objectives.presets import PRESETS
from environments.episode import Split, Task
from environments.household.household import Household

ROOMS = 40  # examined
UNTRAINED = 24  # of these also before anything was learned

QUICK = Course(demonstrations=4, passes=1)
"""Shows that all parts fit together; nothing is learned in so short a time."""

MOST_IN_QUICK = 2  # rooms

COUNTS = ("walks", "passes", "variants", "rounds", "tasks", "attempts", "per_step")
RATES = ("rate", "practice_rate")


def main() -> None:
    parser = flags(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    parser.add_argument("--rooms", type=int, default=ROOMS)
    parser.add_argument("--untrained", type=int, default=UNTRAINED)
    parser.add_argument("--threads", type=int, default=2)
    for name in COUNTS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    for name in RATES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float)
    parser.add_argument("--trained", type=Trained)
    parser.add_argument("--preset", choices=sorted(PRESETS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    given = {each.name: getattr(options, each.name, None) for each in fields(Course)}
    course = replace(
        QUICK if options.quick else SMALL, **{k: v for k, v in given.items() if v is not None}
    )
    rooms = [
        min(n, MOST_IN_QUICK) if options.quick else n for n in (options.rooms, options.untrained)
    ]
    figures: dict[str, Figure] = {"solved_before": before(course, options.cache, rooms[1])}
    for seed in range(options.first, options.first + options.seeds):
        learned = learn(course, seed, options.cache, rooms[0])
        figures |= {f"{name}_seed{seed}": value for name, value in learned.items()}
    report("learn_small", figures, json_path=options.json, packages=("torch", "transformers"))


def before(course: Course, cache: Path, rooms: int) -> float | None:
    """Return what the model solves untaught; acting greedily, it is the same for every seed."""
    world = _world()
    return _share(enrolled(world, course, 0, cache), world.tasks(Split.DEV)[:rooms])


def learn(course: Course, seed: int, cache: Path, rooms: int) -> dict[str, Figure]:
    world = _world()
    held_out = world.tasks(Split.DEV)[:rooms]
    pupil = enrolled(world, course, seed, cache)
    cold_start(pupil)
    cold, cold_s = _share(pupil, held_out), pupil.seconds
    for number in range(course.rounds):
        practise(pupil, number)
    return {
        "solved_cold": cold,
        "solved_after": _share(pupil, held_out) if course.rounds else cold,
        "seconds_cold": cold_s,
        "seconds": pupil.seconds,
        "own_episodes": pupil.episodes,
        "peak_memory_mb": memory_mb(pupil.student.device),  # of all seeds so far
    }


def _world() -> Household:
    return Household.generated(kinds=(KIND,), max_receptacles=RECEPTACLES)


def _share(pupil: Pupil, tasks: Sequence[Task]) -> float | None:
    if not tasks:
        return None
    episodes = played(pupil, tasks)
    solved = sum(each.solved for each in episodes) / len(episodes)
    print(f"exam: {solved:.0%} of {len(episodes)}", flush=True)
    return solved


if __name__ == "__main__":
    main()
