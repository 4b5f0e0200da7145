"""Many attempts at once, each of which comes back as one finished episode, in any order.

Whoever consumes the episodes stores them; only when the next one is asked for are the checkpoints
of the last one dropped. So a crash at any moment loses nothing, and at worst the same episode
comes twice under the same id.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from agent.attempt import Attempt, Limits
from agent.play.graph import Conditions, compile_episode
from agent.play.rollout import rollout
from agent.policy import Policy
from environments.environment import Environment
from environments.episode import Episode, Step


async def practice(  # noqa: PLR0913 - the one door: all that a practice needs, each by its name
    policy: Policy,
    environment: Environment,
    attempts: Iterable[Attempt],
    *,
    limits: Limits,
    checkpointer: BaseCheckpointSaver[Any],
    clock: Callable[[], datetime],
    concurrency: int,
    on_step: Callable[[Attempt, Step], None] | None = None,
) -> AsyncGenerator[Episode]:
    """Yield the episode of each attempt as it finishes; wrap it in `contextlib.aclosing`.

    However it is left (an error, Ctrl-C, a consumer that stops asking), the attempts in the
    middle stay in the checkpointer and go on when they are practised again.

    Args:
        policy: who acts.
        environment: where.
        attempts: taken one by one as room becomes free.
        limits: where each episode is cut off.
        checkpointer: keeps the episodes in the middle.
        clock: the time now, with its zone.
        concurrency: how many episodes are in play at once.
        on_step: told of each step as it is taken; not of those taken before a resumption.

    Raises:
        UserError: someone can mend it; the episodes finished until then have been yielded.
    """
    conditions = Conditions(
        policy=policy, environment=environment, limits=limits, clock=clock, on_step=on_step
    )
    graph = compile_episode(checkpointer)
    waiting = iter(attempts)
    playing: set[asyncio.Task[Episode]] = set()
    try:
        while True:
            for attempt in islice(waiting, concurrency - len(playing)):
                playing.add(asyncio.create_task(rollout(graph, conditions, attempt)))
            if not playing:
                return
            done, playing = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=_failed):
                episode = task.result()
                yield episode
                await checkpointer.adelete_thread(episode.id)
    finally:
        await _stop(playing)


def _failed(task: asyncio.Task[Episode]) -> bool:
    """Sort the finished episodes before the error that ends the practice."""
    return task.exception() is not None


async def _stop(playing: set[asyncio.Task[Episode]]) -> None:
    for task in playing:
        task.cancel()
    await asyncio.gather(*playing, return_exceptions=True)
