"""What LangGraph and its checkpoints add to a step of an episode, beside the bare loop.

First the policy takes no time, so the CPU that a step takes is all ours. Then it takes as long as
the local policy does, to see what a practice of 16 episodes at once really loses by it.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.attempt import Attempt, Limits
from agent.play.checkpoints import checkpoints
from agent.play.practice import practice
from bench.figures import flags, report
from environments.choose import choose
from environments.environment import Environment
from environments.episode import Completion, Split, Step
from environments.registry import open_environment
from environments.seed import derive
from environments.transcript import Turn, transcript

LANES = 16
STEPS, QUICK_STEPS = 40, 15
ROUNDS = 3
PAUSE_S = LANES / 30
"""Of each turn: 16 lanes then take 30 steps per second, as the local policy does on two cores."""

TOKENS = 12
"""Recorded with every completion, as the local policy does."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step took, on average."""

    cpu_ms: float  # all threads of this process
    wall_ms: float  # all lanes together


class Pausing:
    """Acts at random, after the pause that a model would need."""

    name, temperature, width = "pausing", None, LANES

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    async def complete(self, turn: Turn) -> Completion:
        await asyncio.sleep(self._pause_s)
        rng = Random(turn.seed)
        return Completion(
            text=rng.choice(turn.admissible),
            token_ids=tuple(rng.randrange(49_152) for _ in range(TOKENS)),
            logprobs=tuple(-rng.random() for _ in range(TOKENS)),
        )

    async def close(self) -> None:
        """Hold nothing."""


Open = Callable[[Path], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]

Play = Callable[[Pausing, Sequence[Attempt]], Coroutine[Any, Any, int]]
"""Play the attempts side by side, and return the number of steps."""


def main() -> None:
    args = flags(__doc__).parse_args()
    environment = open_environment("household")
    steps = QUICK_STEPS if args.quick else STEPS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "checkpoints.sqlite"
        ways = {
            "bare loop": bare(environment, steps),
            "LangGraph, in memory": in_memory(environment, steps),
            "LangGraph, our saver": in_file(environment, steps, file, checkpoints),
            "LangGraph, AsyncSqliteSaver": in_file(environment, steps, file, threaded),
        }
        cpu_ms = {way: cheapest(play, environment) for way, play in ways.items()}
        size = file.stat().st_size
        slow_loop, slow = (
            cost(ways[way], environment, PAUSE_S) for way in ("bare loop", "LangGraph, our saver")
        )
    for way, ms in cpu_ms.items():
        print(f"{way}: {ms:.2f} ms CPU a step")
    loop, memory, ours, threads = cpu_ms.values()
    figures = {
        "loop_cpu_ms": loop,
        "graph_cpu_ms": memory - loop,
        "sqlite_cpu_ms": ours - memory,
        "async_sqlite_saver_cpu_ms": threads - memory,
        "cpu_share_at_30_steps_per_s": 30 * (ours - loop) / 1000,
        "wall_overhead_share": slow.wall_ms / slow_loop.wall_ms - 1,
        "file_kb_per_step": size / 1024 / (LANES * steps),
        "lanes": LANES,
    }
    packages = ("langgraph", "langgraph-checkpoint-sqlite")
    report("episode", figures, json_path=args.json, packages=packages)


def cheapest(play: Play, environment: Environment) -> float:
    """Return the CPU of a step in ms, in the round that others on this machine disturbed least."""
    return min(cost(play, environment, 0.0).cpu_ms for _ in range(ROUNDS))


def cost(play: Play, environment: Environment, pause_s: float) -> Cost:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    steps = asyncio.run(play(Pausing(pause_s), attempts(environment)))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return Cost(cpu_ms=1000 * cpu_s / steps, wall_ms=1000 * wall_s / steps)


def attempts(environment: Environment) -> list[Attempt]:
    tasks = environment.tasks(Split.TRAIN)[:LANES]
    return [Attempt(id=f"e{seed}", task=task, seed=seed) for seed, task in enumerate(tasks)]


def bare(environment: Environment, steps: int) -> Play:
    """Return the loop that an episode is, without a graph around it."""

    async def one(policy: Pausing, attempt: Attempt) -> int:
        play = environment.start(attempt.task)
        taken: list[Step] = []
        while play.observation.ending is None and len(taken) < steps:
            now = play.observation
            turn = Turn(
                messages=transcript(environment.instructions, "", taken, now.text),
                admissible=now.admissible,
                seed=derive(attempt.seed, len(taken)),
                episode=attempt.id,
            )
            completion = await policy.complete(turn)
            action = choose(completion.text, now.admissible)
            reward = 0.0 if action is None else play.step(action).reward
            taken.append(
                Step(
                    observation=now.text,
                    admissible=now.admissible,
                    completion=completion,
                    action=action,
                    reward=reward,
                )
            )
        play.close()
        return len(taken)

    async def all_of_them(policy: Pausing, tries: Sequence[Attempt]) -> int:
        return sum(await asyncio.gather(*(one(policy, attempt) for attempt in tries)))

    return all_of_them


def in_memory(environment: Environment, steps: int) -> Play:
    async def play(policy: Pausing, tries: Sequence[Attempt]) -> int:
        return await practiced(environment, steps, policy, tries, InMemorySaver())

    return play


def in_file(environment: Environment, steps: int, file: Path, opened: Open) -> Play:
    async def play(policy: Pausing, tries: Sequence[Attempt]) -> int:
        async with opened(file) as saver:
            return await practiced(environment, steps, policy, tries, saver)

    return play


@asynccontextmanager
async def threaded(file: Path) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    """Open LangGraph's own saver for asyncio, which reaches SQLite through a thread."""
    async with AsyncSqliteSaver.from_conn_string(str(file)) as saver:
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield saver


async def practiced(
    environment: Environment,
    steps: int,
    policy: Pausing,
    tries: Sequence[Attempt],
    saver: BaseCheckpointSaver[Any],
) -> int:
    finished = practice(
        policy,
        environment,
        tries,
        limits=Limits(steps=steps),
        checkpointer=saver,
        clock=lambda: datetime.now(UTC),
        concurrency=LANES,
    )
    async with aclosing(finished):
        return sum([len(episode.steps) async for episode in finished])


if __name__ == "__main__":
    main()
