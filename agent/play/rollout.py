"""One attempt from its first observation to its end, or on from where it was killed.

Here is the one boundary that turns a crash into data. What a user can mend passes through: it
would break every other attempt as well.
"""

import traceback
from asyncio import to_thread
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from langchain_core.runnables import RunnableConfig

from agent.attempt import Attempt
from agent.play.graph import (
    NODES_PER_EPISODE,
    NODES_PER_STEP,
    Conditions,
    EpisodeGraph,
    Sitting,
    State,
    first_state,
    read,
    steps_of,
    thought_of,
)
from environments.environment import Environment, Play, takes_long
from environments.episode import Ending, Episode, Step, Task
from environments.errors import UserError
from environments.untried import untried

DURABILITY = "async"
"""A step is saved while the next one is thought: a kill costs the one or two nodes under way."""


class ReplayError(RuntimeError):
    """The recorded actions no longer lead where they led."""


async def rollout(graph: EpisodeGraph, conditions: Conditions, attempt: Attempt) -> Episode:
    """Return the finished episode of an attempt; its checkpoints are left for the caller to drop.

    Raises:
        UserError: someone can mend it; the attempt can be resumed.
    """
    began = conditions.clock()
    error = None
    try:
        state = await _play(graph, conditions, attempt, began)
    except UserError:
        raise
    except Exception:  # noqa: BLE001 - the one boundary: a broken attempt must not end the practice
        error = traceback.format_exc()
        state = await _saved(graph, attempt) or first_state(began)
    return _episode(conditions, attempt, state, error)


async def _play(
    graph: EpisodeGraph, conditions: Conditions, attempt: Attempt, began: datetime
) -> State:
    saved = await _saved(graph, attempt)
    state = saved or first_state(began)
    if state["closing"] is not None:
        return state
    play = await _begun(conditions.environment, attempt.task)
    try:
        steps = steps_of(state)
        replay(play, [*steps, *thought_of(state)])
        sitting = Sitting(
            attempt=attempt,
            conditions=conditions,
            play=play,
            steps=steps,
            since=began - timedelta(seconds=state["seconds"]),
        )
        ended = await graph.ainvoke(
            None if saved else state,
            _config(attempt, conditions.limits.steps),
            context=sitting,
            durability=DURABILITY,
        )
        return cast(State, ended)
    finally:
        play.close()


async def _begun(world: Environment, task: Task) -> Play:
    return await to_thread(world.start, task) if takes_long(world) else world.start(task)


def replay(play: Play, steps: Sequence[Step]) -> None:
    """Bring a fresh play to where the steps led.

    Raises:
        ReplayError: it shows something else than what was recorded.
    """
    for place, step in enumerate(steps):
        now = play.observation
        seen = read(steps[:place], now)
        offered = now.admissible, untried(seen, now.admissible, steps[:place])
        if seen != step.observation or step.admissible not in offered:
            raise ReplayError(
                f"cannot resume: after {place} steps the environment showed {step.observation!r} "
                f"when the episode was recorded and shows {seen!r} now"
            )
        if step.action is not None:
            play.step(step.action)


async def _saved(graph: EpisodeGraph, attempt: Attempt) -> State | None:
    """Return what the checkpointer holds of an attempt, or None if it is new."""
    values = (await graph.aget_state(_config(attempt))).values
    # Killed while it was first saved, it has no more than the steps, of which there are none.
    return cast(State, values) if "closing" in values else None


def _config(attempt: Attempt, max_steps: int = 0) -> RunnableConfig:
    return {
        "configurable": {"thread_id": attempt.id},
        # LangGraph's default is 10007: an agent that cannot stop would call the model as often.
        "recursion_limit": NODES_PER_STEP * max_steps + NODES_PER_EPISODE,
    }


def _episode(conditions: Conditions, attempt: Attempt, state: State, error: str | None) -> Episode:
    return Episode(
        id=attempt.id,
        task=attempt.task,
        steps=tuple(steps_of(state)),
        ending=Ending.BROKEN if error is not None else Ending(state["ending"]),
        closing=state["closing"] or "",
        policy=conditions.policy.name,
        temperature=conditions.policy.temperature,
        seed=attempt.seed,
        briefing=attempt.briefing,
        started=datetime.fromisoformat(state["started"]),
        seconds=state["seconds"],
        run=attempt.run,
        error=error,
    )
