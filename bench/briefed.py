"""What memory does for a policy that learned to read it, beside one that learned without.

A policy that never saw a briefing while it learned has no use for one. So two pupils imitate the
same demonstrations, and one of them reads, before most of them, what memory recalls of other train
tasks, as it will before the exam. No memory is of a task that is imitated or examined.
"""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from agent.attempt import Attempt
from agent.policy import Policy
from apprentice.build import make_bank, make_rig, make_store
from apprentice.loop.absorbing import learn_from
from apprentice.settings.config import Config
from bench.figures import Figure, flags, report
from bench.learning import KIND, RECEPTACLES, SMALL
from bench.memory_household import (
    Arm,
    arm,
    beside,
    figures,
    lent,
    options_of,
    settings,
    table,
    walked,
)
from bench.schooling import acting, cold_start, enrolled
from environments.environment import Environment
from environments.episode import Split, Task
from environments.household.household import Household
from environments.seed import derive

ARMS = ("none", "demonstrations")
SHARES = (0.0, 0.75)
"""Of the demonstrations that are briefed: who always is forgets how to do without."""

ROOM = 256  # tokens of a transcript for a briefing, beside the course's own


def main() -> None:
    options = told()
    torch.set_num_threads(options.threads)
    world = Household.generated(kinds=(KIND,), max_receptacles=RECEPTACLES)
    found: dict[str, Figure] = {}
    bare: Arm | None = None
    with TemporaryDirectory() as folder:
        config = remembered(world, options, Path(folder) / "lived")
        for share in options.shares:
            arms = schooled(world, config, share, options)
            bare = bare or arms[0]
            name = f"briefed {share:.0%}"
            print(f"\n{name}\n\n{table(arms)}\n", flush=True)
            found |= {f"{name}: {key}": value for key, value in figures(arms).items()}
            over = beside(arms[-1], bare)
            found |= {f"{name}: {arms[-1].name}_over_first_{k}": v for k, v in over.items()}
    report("briefed", found, json_path=options.json, packages=("torch", "transformers"))


def remembered(world: Environment, options: Namespace, home: Path) -> Config:
    """Return the settings of a home whose bank knows the first train tasks by heart."""
    budget = ["--budget", str(options.budget), "--seed", str(options.seed)]
    kind = ["--kind", KIND, "--receptacles", str(RECEPTACLES), "--policy", "random"]
    config = settings(options_of([*kind, *budget]), home)
    tasks = world.tasks(Split.TRAIN)[: options.walkthroughs]
    with make_store(config) as store, make_bank(config) as bank:
        store.add_all(walked(world, task) for task in tasks)
        asyncio.run(learn_from(config, list(store.episodes(split=Split.TRAIN)), bank))
    return config


def schooled(world: Environment, config: Config, share: float, options: Namespace) -> list[Arm]:
    """Teach a pupil, a share of whose demonstrations is briefed, and examine him."""
    course = replace(
        SMALL,
        demonstrations=options.demonstrations,
        passes=options.passes,
        rate=options.rate,
        briefed=share,
        length=SMALL.length + ROOM,
    )
    pupil = enrolled(world, course, options.seed, options.cache)
    first = options.walkthroughs
    tasks = world.tasks(Split.TRAIN)[first : first + options.demonstrations]
    home = config.home.parent
    if share:
        taught, _ = lent("demonstrations", config, home / f"taught-{share}")
        pupil.recalled = briefings(taught, acting(pupil), tasks)
    cold_start(pupil, tasks=tasks)
    if options.home is not None:
        torch.save(pupil.student.copy(), options.home / f"briefed-{share}.pt")
    exam = world.tasks(Split.DEV)[: options.rooms]

    async def examined() -> list[Arm]:
        policy = acting(pupil)
        arms = [await arm(n, config, policy, exam, home / f"{n}-{share}") for n in ARMS]
        await policy.close()
        return arms

    return asyncio.run(examined())


def briefings(config: Config, policy: Policy, tasks: Sequence[Task]) -> dict[str, str]:
    """Return what memory says before each task; the policy counts the tokens."""
    with make_rig(config, policy=policy) as rig:
        assert rig.reminder is not None, "recall is on"
        attempts = [
            Attempt(id=task.id, task=task, seed=derive(config.seed, task.id)) for task in tasks
        ]
        return {each.id: each.briefing for each in rig.reminder.brief(attempts, {})}


def told() -> Namespace:
    parser = flags(__doc__)
    parser.add_argument("--shares", type=float, nargs="+", default=[*SHARES])
    parser.add_argument("--demonstrations", type=int, default=64)
    parser.add_argument("--passes", type=int, default=1, help="over the demonstrations")
    parser.add_argument("--rate", type=float, default=SMALL.rate)
    parser.add_argument("--walkthroughs", type=int, default=240, help="remembered train tasks")
    parser.add_argument("--budget", type=int, default=160, help="tokens of a briefing")
    parser.add_argument("--rooms", type=int, default=40, help="examined")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--home", type=Path, help="keep the weights here")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    options = parser.parse_args()
    if options.quick:
        vars(options).update(demonstrations=2, walkthroughs=8, rooms=2)
    return options


if __name__ == "__main__":
    main()
