"""How episodes per second grow with workers, and what a store of many episodes still does.

The policy of the first half waits a set time at each turn and does nothing else, so what is
missing from a straight line is the orchestration: the graph of an episode, Ray, and the one writer
that stores what comes back. The second half is `bench.scaled_store`.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from agent.attempt import Attempt, Limits
from agent.play.checkpoints import checkpoints
from agent.play.fleet import Crew, Fleet, MissingRayError, fleet
from agent.play.graph import Conditions
from agent.play.practice import practice
from agent.scripted import Scripted
from apprentice.build import now
from bench.figures import Figure, flags, report
from bench.scaled_store import QUICK_SIZES, SIZES, store_figures
from environments.episode import Completion, Split, Task
from environments.household.household import Household
from environments.transcript import Turn
from memory.store.store import Store

WORKERS, QUICK_WORKERS = (1, 2, 4, 8), (1, 2, 4)
LATENCY_S = 0.050
STEPS = 20
EACH = 6
"""Episodes of each worker: what a run loses at its end, when the last one plays alone, is a part
of it that a long run does not have; all episodes are equally long, so here it is nearly none."""


class Waiting(Scripted):
    """A policy that looks around, each time after the set latency."""

    async def complete(self, turn: Turn) -> Completion:
        await asyncio.sleep(LATENCY_S)
        return await super().complete(turn)


@dataclass(frozen=True, slots=True)
class Took:
    """How long so many workers took for so many steps."""

    workers: int
    steps: int
    seconds: float
    slept_s: float  # what the set latency really is: an event loop's clock ticks in milliseconds

    @property
    def steps_per_s(self) -> float:
        return self.steps / self.seconds

    @property
    def overhead_ms(self) -> float:
        """Return what each worker needs for a step beyond the latency of the policy."""
        return 1000 * (self.workers * self.seconds / self.steps - self.slept_s)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = flags(__doc__)
    parser.add_argument("--only", choices=("workers", "store"), help="this half alone")
    parser.add_argument("--workers", type=int, nargs="+", help="how many [1 2 4 8]")
    options = parser.parse_args(arguments)
    counts = options.workers or (QUICK_WORKERS if options.quick else WORKERS)
    figures: dict[str, Figure] = {}
    if options.only != "store":
        figures.update(worker_figures(counts))
    if options.only != "workers":
        figures.update(store_figures(QUICK_SIZES if options.quick else SIZES))
    packages = ("langgraph", "psycopg", "ray", "sqlalchemy")
    report("scale", figures, json_path=options.json, packages=packages, argv=arguments)


def worker_figures(counts: Sequence[int]) -> Mapping[str, Figure]:
    """Return how the steps per second grow, and what a step costs beside its latency."""
    here = local()
    figures: dict[str, Figure] = {
        "latency_ms": 1000 * LATENCY_S,
        "latency_slept_ms": 1000 * here.slept_s,
        "here_steps_per_s": here.steps_per_s,
        "here_overhead_ms_per_step": here.overhead_ms,
    }
    try:
        took = [on_ray(workers) for workers in counts]
    except MissingRayError as error:
        return {**figures, "left_out": str(error)}
    for each in took:
        figures[f"steps_per_s_{each.workers}"] = each.steps_per_s
        figures[f"episodes_per_s_{each.workers}"] = each.steps_per_s / STEPS
        share = each.steps_per_s / each.workers / took[0].steps_per_s * took[0].workers
        figures[f"linear_share_{each.workers}"] = share
        figures[f"ideal_share_{each.workers}"] = each.steps_per_s * each.slept_s / each.workers
        figures[f"overhead_ms_per_step_{each.workers}"] = each.overhead_ms
    figures["overhead_ms_per_step"] = took[0].overhead_ms
    return figures


def local() -> Took:
    """Play some episodes one after the other in this process, as `apprentice run` does."""
    conditions = seat()

    async def played(folder: Path, tries: Iterable[Attempt], store: Store) -> float:
        async with checkpoints(folder / "checkpoints.sqlite") as saver:
            began = time.perf_counter()
            finished = practice(
                conditions.policy,
                conditions.environment,
                tries,
                limits=conditions.limits,
                checkpointer=saver,
                clock=now,
                concurrency=1,
            )
            async with aclosing(finished):
                async for episode in finished:
                    store.add(episode)
            return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as name, Store.open(Path(name) / "store.sqlite") as store:
        asyncio.run(played(Path(name), attempts("warm", 1), store))
        seconds = asyncio.run(played(Path(name), attempts("here", EACH), store))
    return Took(1, EACH * STEPS, seconds, slept())


def slept() -> float:
    """Return how many seconds this machine takes to wait for the set latency, and nothing else."""

    async def often() -> list[float]:
        took: list[float] = []
        for _ in range(STEPS):
            began = time.perf_counter()
            await asyncio.sleep(LATENCY_S)
            took.append(time.perf_counter() - began)
        return took

    return median(asyncio.run(often()))


def on_ray(workers: int) -> Took:
    """Play so many episodes on each of so many workers that are ready."""
    crew = Crew(furnish=seat, policy=Waiting.name, width=workers, clock=now)
    with (
        fleet(crew, None, workers) as opened,
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "store.sqlite") as store,
    ):
        # Starting a worker, and its first look at the rooms, take seconds: before the clock runs.
        warmed = asyncio.run(_stored(opened, attempts("warm", 2 * workers), store))
        tries = attempts("timed", EACH * workers)
        began = time.perf_counter()
        made = asyncio.run(_stored(opened, tries, store))
        seconds = time.perf_counter() - began
    assert (warmed, made) == (2 * workers * STEPS, EACH * workers * STEPS)
    return Took(workers, made, seconds, slept())


async def _stored(opened: Fleet, tries: Iterable[Attempt], store: Store) -> int:
    steps = 0
    async with aclosing(opened.practise(tries)) as finished:
        async for episode in finished:
            store.add(episode)
            steps += len(episode.steps)
    return steps


def seat() -> Conditions:
    """Return what a worker plays with: rooms in which somebody looks around for ever."""
    return Conditions(
        policy=Waiting(_look),
        environment=Household.generated(),
        limits=Limits(steps=STEPS, repeat=True),
        clock=now,
    )


def attempts(name: str, many: int) -> list[Attempt]:
    tasks = rooms()
    return [
        Attempt(id=f"{name}-{number}", task=tasks[number % len(tasks)], seed=number)
        for number in range(many)
    ]


@cache
def rooms() -> Sequence[Task]:
    """Return the tasks, drawn once: to draw them takes as long as to play hundreds of steps."""
    return Household.generated().tasks(Split.TRAIN)


def _look(_: Turn) -> str:
    return "look"


if __name__ == "__main__":
    main()
