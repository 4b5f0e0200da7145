"""What chance and the gold actions reach in each world, how fast it is, and what it weighs.

Each world is measured in a process of its own, so that its memory is its own; a world whose
packages are not installed is left out, and one that needs a choice is measured at one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from random import Random
from time import perf_counter

from bench.figures import Figure, flags, report
from environments.environment import Environment
from environments.episode import Ending, Split, Task
from environments.extras import missing
from environments.registry import ENVIRONMENTS, open_environment
from environments.sandbox.supervise import MEGABYTE, resident

STEPS = 30
"""Of a random episode: the usual limit."""

CHOICES: Mapping[str, Mapping[str, object]] = {
    "gymnasium": {
        "id": "FrozenLake-v1",
        "options": {"render_mode": "ansi"},
        "actions": ("left", "down", "right", "up"),
        "counts": (1, 0, 0),
    },
}
"""Settings of worlds that cannot be opened without any."""

EMPTY = frozenset({"harbor", "mcp", "openenv"})
"""Worlds without tasks of their own."""

GUESSES: Mapping[str, tuple[str, ...]] = {
    "code": ("return None", "return True", "return []", "return x"),
    "reasoning_gym": ("0", "1", "yes", "no"),
    "scienceworld": (
        "look around",
        *(f"go to {room}" for room in ("kitchen", "outside", "workshop", "greenhouse")),
        *(f"focus on {thing}" for thing in ("thermometer", "red light bulb", "dove egg")),
        "pick up thermometer",
    ),
    "tau2": (
        "Who are you?",
        *(
            f'{{"name": "{tool}", "arguments": {{}}}}'
            for tool in ("list_all_product_types", "transfer_to_human_agents", "done")
        ),
    ),
}
"""What chance says where any text is an action, by world."""

NOTHING = ("0",)
MOST_S = 600  # a world that takes longer is stuck


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = flags(__doc__)
    parser.add_argument("--world", help="only this one")
    parser.add_argument("--inside", action="store_true", help="measure it in this process")
    options = parser.parse_args()
    tasks = 12 if options.quick else 100
    if options.inside:
        sys.stdout.write(json.dumps(measure(options.world, tasks)))
        return
    figures: dict[str, Figure] = {}
    for name in (
        [options.world] if options.world else [each for each in ENVIRONMENTS if each not in EMPTY]
    ):
        if lacking := missing(name):
            sys.stderr.write(f"{name}: left out; pip install {' '.join(lacking)}\n")
            continue
        found = apart(name, quick=options.quick)
        figures |= {f"{name}_{figure}": value for figure, value in found.items()}
    report("worlds", figures, json_path=options.json)


def apart(name: str, *, quick: bool) -> dict[str, Figure]:
    """Return the figures of a world, measured in a process of its own."""
    flags = ["--quick"] if quick else []
    done = subprocess.run(
        [sys.executable, "-m", "bench.worlds", "--inside", "--world", name, *flags],
        capture_output=True,
        text=True,
        timeout=MOST_S,
        check=True,
    )
    return json.loads(done.stdout)


def measure(name: str, count: int) -> dict[str, Figure]:
    """Return the figures of a world on so many of its tasks, spread over all splits."""
    began = perf_counter()
    world = open_environment(name, **CHOICES.get(name, {}))  # pyright: ignore[reportArgumentType]
    opened = perf_counter() - began
    every = [task for split in Split for task in world.tasks(split)]
    tasks = every[:: max(1, len(every) // count)][:count]
    chance = [wander(world, task) for task in tasks]
    golden = [won for task in tasks if (won := follow(world, task)) is not None]
    steps = sum(steps for _, _, steps, _ in chance)
    return {
        "tasks": len(tasks),
        "random_solved": sum(solved for solved, *_ in chance) / len(chance),
        "gold_solved": sum(golden) / len(golden) if golden else None,
        "steps_per_s": steps / sum(seconds for *_, seconds in chance),
        "reset_ms": 1000 * sum(reset for _, reset, *_ in chance) / len(chance),
        "open_s": opened,
        "rss_mb": sum(resident(os.getpid())) / MEGABYTE,
    }


def wander(world: Environment, task: Task) -> tuple[bool, float, int, float]:
    """Play at random; return whether it was solved, the time to begin, the steps, their time."""
    rng = Random(task.id)
    began = perf_counter()
    play = world.start(task)
    reset = perf_counter() - began
    steps = 0
    began = perf_counter()
    while play.observation.ending is None and steps < STEPS:
        play.step(rng.choice(play.observation.admissible or GUESSES.get(world.name, NOTHING)))
        steps += 1
    seconds = perf_counter() - began
    ending = play.observation.ending
    play.close()
    return ending is Ending.SOLVED, reset, steps, seconds


def follow(world: Environment, task: Task) -> bool | None:
    """Play the gold actions; return whether they solved it, None where there are none."""
    gold = world.gold(task)
    if gold is None:
        return None
    play = world.start(task)
    for action in gold:
        play.step(action)
    ending = play.observation.ending
    play.close()
    return ending is Ending.SOLVED


if __name__ == "__main__":
    main()
