"""Do workers that play for minutes leave processes, Java machines, open files or memory behind?

They share one world and play at random, each for itself. What is held is counted once all have
played for a while, and again in the end: all that grows with time is a leak.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from time import monotonic, sleep

from bench.figures import Figure, flags, report
from bench.worlds import CHOICES, GUESSES, NOTHING, STEPS
from environments.environment import Environment
from environments.episode import Split
from environments.registry import open_environment
from environments.sandbox.supervise import MEGABYTE, resident

WORKERS = 8
WARM = 1 / 3
"""Share of the time after which what is held is first counted: pools and heaps are full then."""


def main() -> None:
    """Play, print what was held, and write it where asked."""
    parser = flags(__doc__)
    parser.add_argument("--world", required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    seconds = 40.0 if options.quick else 60 * options.minutes
    report("leaks", watched(options.world, seconds), json_path=options.json)


def watched(name: str, seconds: float) -> dict[str, Figure]:
    """Return what the workers did, and what was held after a while and in the end."""
    world = open_environment(name, **CHOICES.get(name, {}))  # pyright: ignore[reportArgumentType]
    began = monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        played = [pool.submit(play_on, world, worker, began + seconds) for worker in range(WORKERS)]
        sleep(seconds * WARM)
        first = held()
        episodes = sum(each.result() for each in played)
    last = held()
    return {
        "episodes": episodes,
        **{f"{what}_first": count for what, count in first.items()},
        **{f"{what}_last": count for what, count in last.items()},
    }


def held() -> dict[str, Figure]:
    """Return the processes of this one's tree, its open files, and the memory of all together."""
    sizes = tuple(resident(os.getpid()))
    return {
        "processes": len(sizes),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "rss_mb": sum(sizes) / MEGABYTE,
    }


def play_on(world: Environment, worker: int, until: float) -> int:
    """Play at random until the time is up; return how many episodes were begun."""
    rng, tasks, episodes = Random(worker), world.tasks(Split.TRAIN), 0
    while monotonic() < until:
        play = world.start(rng.choice(tasks))
        for _ in range(STEPS):
            if play.observation.ending is not None or monotonic() > until:
                break
            play.step(rng.choice(play.observation.admissible or GUESSES.get(world.name, NOTHING)))
        play.close()
        episodes += 1
    return episodes


if __name__ == "__main__":
    main()
