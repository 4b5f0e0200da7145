"""Do workers that play for minutes leave processes, Java machines, open files or memory behind?

They share one world and play at random, each for itself. What all their processes hold together is
sampled while they play: what is more in the end than after a while is a leak. Each world has a
process of its own, and whatever outlives that one was left behind.
"""

import ctypes
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic, sleep

from bench.figures import Figure, flags, report
from bench.worlds import CHOICES, EMPTY, GUESSES, NOTHING, STEPS
from environments.environment import Environment
from environments.episode import Split, Task
from environments.errors import UserError
from environments.extras import missing
from environments.registry import ENVIRONMENTS, open_environment
from environments.sandbox.supervise import MEGABYTE, resident

WORKERS = 8
SAMPLES = 60  # of what is held, spread evenly over the time
WARM = slice(20, 30)
"""Those by which it is told what is held after a while: pools and heaps are full by then."""
END = slice(50, 60)

MORE = 0.05
"""Share by which a figure may grow from one part to the other: plays begin and end."""
AT_LEAST = {"processes": 4.0, "jvms": 0.0, "files": 16.0, "rss_mb": 20.0}
"""Growth that is none, by figure: a program in the sandbox is four processes, for a moment."""

QUICK_MINUTES = 0.5
OPENING_S = 180.0  # for a world to open, and to be closed again, beside its time
LINGER_S = 2.0  # that a process may take to end with its parent
SUBREAPER = 36
"""prctl's PR_SET_CHILD_SUBREAPER: who loses its parent becomes our child, and is seen."""

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process and all that descend from it hold at a moment."""

    processes: float
    jvms: float
    files: float
    rss_mb: float


def main() -> None:
    """Watch one world or all that are installed, print what was held, and write it where asked."""
    options = told()
    if options.inside:
        print(json.dumps(inside(options.world, options.seconds)))
        return
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    worlds = [options.world] if options.world else installed()
    within = QUICK_MINUTES if options.quick else options.within
    each = options.minutes if within is None else min(options.minutes, within / len(worlds))
    seconds = 60 * each
    found = together(worlds, seconds) if options.together else in_turn(worlds, seconds)
    report("leaks", found, json_path=options.json)


def told() -> Namespace:
    parser = flags(__doc__)
    parser.add_argument("--world", help="only this one; else all that are installed")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each world")
    parser.add_argument("--within", type=float, help="minutes, shared by all worlds")
    parser.add_argument("--together", action="store_true", help="all worlds at the same time")
    parser.add_argument("--inside", action="store_true", help="watch it in this process")
    parser.add_argument("--seconds", type=float, help="with --inside")
    return parser.parse_args()


def installed() -> list[str]:
    """Return the worlds that have tasks of their own and whose packages are here."""
    return [name for name in ENVIRONMENTS if name not in EMPTY and not missing(name)]


def in_turn(worlds: Sequence[str], seconds: float) -> dict[str, Figure]:
    """Watch one world after another, and look what each left behind."""
    figures: dict[str, Figure] = {}
    for name in worlds:
        figures |= apart(name, seconds) | {f"{name}_left_behind": left_behind()}
    return figures


def together(worlds: Sequence[str], seconds: float) -> dict[str, Figure]:
    """Watch all worlds at once, and look what all of them left behind."""
    with ThreadPoolExecutor(len(worlds)) as pool:
        found = list(pool.map(partial(apart, seconds=seconds), worlds))
    return {key: value for each in found for key, value in each.items()} | {
        "left_behind": left_behind()
    }


def apart(name: str, seconds: float) -> dict[str, Figure]:
    """Return the figures of a world that was watched in a process of its own."""
    inside = ["-m", "bench.leaks", "--inside", "--world", name, "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            [sys.executable, *inside],
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds + OPENING_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {f"{name}_leaks": "not told: it is stuck"}
    if done.returncode:
        return {f"{name}_leaks": f"not told: it ended with code {done.returncode}"}
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"{name}_{figure}": value for figure, value in found.items()}


def left_behind() -> int:
    """Return how many processes are still there of worlds that are over."""
    sleep(LINGER_S)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    return sum(1 for _ in family(os.getpid())) - 1


def inside(name: str, seconds: float) -> dict[str, Figure]:
    """Return the figures of a world that is watched in this process."""
    try:
        world = open_environment(name, **CHOICES.get(name, {}))  # pyright: ignore[reportArgumentType]
    except UserError as error:
        return {"leaks": f"not told: {error}"}
    return watched(world, seconds)


def watched(world: Environment, seconds: float) -> dict[str, Figure]:
    """Return what the workers did, and what was held after a while and in the end."""
    tasks = world.tasks(Split.TRAIN)  # first: some worlds list them for seconds
    began, samples = monotonic(), list[Held]()
    with ThreadPoolExecutor(WORKERS) as pool:
        until = began + seconds
        played = [pool.submit(play_on, world, tasks, worker, until) for worker in range(WORKERS)]
        for number in range(1, SAMPLES + 1):
            sleep(max(0.0, began + seconds * number / (SAMPLES + 1) - monotonic()))
            samples.append(held(os.getpid()))
        episodes = sum(each.result() for each in played)
    warm, end = least(samples[WARM]), least(samples[END])
    return {
        "episodes": episodes,
        "leaks": ", ".join(grown(warm, end)) or "none",
        **{f"{what}_warm": count for what, count in asdict(warm).items()},
        **{f"{what}_end": count for what, count in asdict(end).items()},
    }


def least(samples: Sequence[Held]) -> Held:
    """Return the least of each figure: what comes and goes with a play is not counted."""
    names = [field.name for field in fields(Held)]
    return Held(**{name: min(getattr(each, name) for each in samples) for name in names})


def grown(warm: Held, end: Held) -> Iterator[str]:
    """Give the figures that are more in the end than after a while, beyond what is usual."""
    for name, usual in AT_LEAST.items():
        before, after = getattr(warm, name), getattr(end, name)
        if after - before > max(usual, MORE * before):
            yield name


def held(root: int) -> Held:
    """Return what a process and all that descend from it hold now."""
    pids = list(family(root))
    return Held(
        processes=len(pids),
        jvms=sum(_command(pid) == "java" for pid in pids),
        files=sum(map(_files, pids)),
        rss_mb=sum(resident(root)) / MEGABYTE,
    )


def family(pid: int) -> Iterator[int]:
    """Give a process and all that descend from it."""
    yield pid
    with suppress(OSError):  # it may end while one looks
        for thread in (PROC / str(pid) / "task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def _command(pid: int) -> str:
    with suppress(OSError):
        return (PROC / str(pid) / "comm").read_text().strip()
    return ""


def _files(pid: int) -> int:
    with suppress(OSError):
        return len(list((PROC / str(pid) / "fd").iterdir()))
    return 0


def play_on(world: Environment, tasks: Sequence[Task], worker: int, until: float) -> int:
    """Play at random until the time is up; return how many episodes were begun."""
    rng, episodes = Random(worker), 0
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
