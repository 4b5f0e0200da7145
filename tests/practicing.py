"""What the tests of practice share: attempts, a clock that ticks, and a practice run to its end."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agent.attempt import Attempt, Limits
from agent.play.practice import practice
from environments.episode import Completion, Episode, Split
from environments.transcript import Turn
from worlds import Workshop

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def attempts(number: int) -> list[Attempt]:
    tasks = Workshop().tasks(Split.TRAIN)
    return [
        Attempt(id=f"e{each:02}", task=tasks[each % len(tasks)], seed=each, run="r")
        for each in range(number)
    ]


def ticking(start: datetime = NOON) -> Callable[[], datetime]:
    """Return a clock that shows one second more each time it is looked at."""
    seconds = count()
    return lambda: start + timedelta(seconds=next(seconds))


def untimed(episodes: Iterable[Episode]) -> dict[str, Episode]:
    """Return episodes by id, without what the clock said."""
    return {each.id: replace(each, started=NOON, seconds=0.0) for each in episodes}


class Dawdling:
    """Another policy, which takes a while of its own for each turn, so that turns overlap."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.name, self.temperature, self.width = policy.name, policy.temperature, policy.width
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0

    async def complete(self, turn: Turn) -> Completion:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001 * (turn.seed % 3))
        self.at_once -= 1
        return await self._policy.complete(turn)

    async def close(self) -> None:
        await self._policy.close()


async def gather(policy: Any, tries: Iterable[Attempt], into: list[Episode], **how: Any) -> None:
    """Practise, and keep each episode in `into` as soon as it is handed over."""
    options: dict[str, Any] = {
        "limits": Limits(steps=8),
        "checkpointer": InMemorySaver(),
        "clock": ticking(),
        "concurrency": 16,
        "environment": Workshop(),
        **how,
    }
    environment = options.pop("environment")
    async with aclosing(practice(policy, environment, tries, **options)) as finished:
        async for episode in finished:
            into.append(episode)  # noqa: PERF401 - one by one, for the practice may be cut off


def practiced(policy: Any, tries: Iterable[Attempt], **how: Any) -> list[Episode]:
    """Return the episodes of a practice in the order in which they finished."""
    episodes: list[Episode] = []
    asyncio.run(gather(policy, tries, episodes, **how))
    return episodes


async def cut_off(policy: Dawdling, tries: Iterable[Attempt], turns: int, **how: Any):
    episodes: list[Episode] = []
    practising = asyncio.create_task(gather(policy, tries, episodes, **how))
    while policy.asked < turns and not practising.done():
        await asyncio.sleep(0)
    practising.cancel()
    with suppress(asyncio.CancelledError):
        await practising
    return episodes


def interrupted(policy: Any, tries: Iterable[Attempt], turns: int, **how: Any) -> list[Episode]:
    """Return the episodes finished when a practice was cancelled after so many turns."""
    return asyncio.run(cut_off(Dawdling(policy), tries, turns, **how))
