"""One episode as a LangGraph graph: recall, then think and act in turns, then end.

The state is JSON-like and small, so a checkpoint after every node is cheap and needs no class of
ours to be read; the live things (policy, play) travel in the runtime context and are never saved.
"""

from asyncio import get_running_loop, to_thread
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent.attempt import Attempt, Limits
from agent.policy import Policy
from environments.choose import choose
from environments.environment import Environment, Observation, Play, takes_long
from environments.episode import Ending, Step
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import NOT_AN_ACTION, Turn, transcript
from environments.untried import repeats_lead_nowhere, untried
from environments.wire import step_from_plain, step_to_plain

NODES_PER_STEP = 2
"""think and act."""

NODES_PER_EPISODE = 3
"""recall and end, and one in which LangGraph finds nothing left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What all attempts of one practice share."""

    policy: Policy
    environment: Environment
    limits: Limits
    clock: Callable[[], datetime]
    on_step: Callable[[Attempt, Step], None] | None = None  # told of each step as it is taken

    @property
    def repeats(self) -> bool:
        """Return whether an action may be taken again where everything looks as it did before."""
        said = self.limits.repeat
        return not repeats_lead_nowhere(self.environment) if said is None else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One attempt, live. An episode that was killed and goes on has several."""

    attempt: Attempt
    conditions: Conditions
    play: Play
    steps: list[Step]  # taken so far: like the play, rebuilt from the state when it is resumed
    since: datetime  # when the episode began, moved by the pauses between its sittings

    @property
    def seconds(self) -> float:
        """Return for how long the episode has been played, in all its sittings."""
        return (self.conditions.clock() - self.since).total_seconds()


def _grown(steps: Sequence[Any], writes: Sequence[Sequence[Any]]) -> list[Any]:
    return [*steps, *chain.from_iterable(writes)]


class State(TypedDict):
    """What is saved. Each step is saved once (a delta), so the bytes grow with the steps."""

    started: str  # ISO 8601, with the offset
    seconds: float
    briefing: str
    thought: dict[str, Any] | None  # the step about to be taken: written, not yet acted upon
    steps: Annotated[list[dict[str, Any]], DeltaChannel(_grown)]
    ending: str | None  # None: it goes on
    closing: str | None  # None: the end was not reached


def first_state(started: datetime) -> State:
    return {
        "started": started.isoformat(),
        "seconds": 0.0,
        "briefing": "",
        "thought": None,
        "steps": [],
        "ending": None,
        "closing": None,
    }


EpisodeGraph: TypeAlias = CompiledStateGraph[State, Sitting, State, State]


def compile_episode(checkpointer: BaseCheckpointSaver[Any]) -> EpisodeGraph:
    """Return the graph that every episode runs through; they share one."""
    graph = StateGraph(State, context_schema=Sitting)
    graph.add_node("recall", recall)
    graph.add_node("think", think)
    graph.add_node("act", act)
    graph.add_node("end", end)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "think")
    graph.add_conditional_edges("think", _after_think)
    graph.add_conditional_edges("act", _after_act)
    graph.add_edge("end", END)
    return graph.compile(checkpointer=checkpointer)


async def recall(state: State, runtime: Runtime[Sitting]) -> dict[str, Any]:  # noqa: ARG001
    """Pass on the briefing that the attempt brings."""
    return {"briefing": runtime.context.attempt.briefing}


async def think(state: State, runtime: Runtime[Sitting]) -> dict[str, Any]:
    """Show the policy the transcript and keep what it writes."""
    sitting = runtime.context
    steps = sitting.steps
    now = sitting.play.observation
    seen = read(steps, now)
    admissible = now.admissible
    if not sitting.conditions.repeats:
        admissible = untried(seen, admissible, steps)
    turn = Turn(
        messages=transcript(
            sitting.conditions.environment.instructions, state["briefing"], steps, seen
        ),
        admissible=admissible,
        seed=derive(sitting.attempt.seed, len(steps)),
        episode=sitting.attempt.id,
    )
    try:
        completion = await sitting.conditions.policy.complete(turn)
    except ContextFullError:
        return {"seconds": sitting.seconds, "ending": Ending.TRUNCATED.value}
    thought = Step(observation=seen, admissible=admissible, completion=completion, action=None)
    return {"thought": step_to_plain(thought)}


async def act(state: State, runtime: Runtime[Sitting]) -> dict[str, Any]:
    """Take the action that the policy named, if it named one."""
    sitting = runtime.context
    (thought,) = thought_of(state)
    action = choose(thought.completion.text, thought.admissible)
    reward = 0.0 if action is None else (await _stepped(sitting.play, action)).reward
    step = replace(thought, action=action, reward=reward)
    sitting.steps.append(step)
    if sitting.conditions.on_step is not None:
        # In a turn of its own: what goes wrong there must not break the episode.
        get_running_loop().call_soon(sitting.conditions.on_step, sitting.attempt, step)
    seconds = sitting.seconds
    over = ending(sitting.play.observation, sitting.steps, seconds, sitting.conditions.limits)
    return {
        "thought": None,
        "steps": [step_to_plain(step)],
        "seconds": seconds,
        "ending": over and over.value,
    }


async def _stepped(play: Play, action: str) -> Observation:
    return await to_thread(play.step, action) if takes_long(play) else play.step(action)


async def end(state: State, runtime: Runtime[Sitting]) -> dict[str, Any]:  # noqa: ARG001
    """Keep what the environment said last."""
    return {"closing": read(runtime.context.steps, runtime.context.play.observation)}


def ending(
    observation: Observation, steps: Sequence[Step], seconds: float, limits: Limits
) -> Ending | None:
    """Return how the episode ended, or None if it goes on. The environment has the first word."""
    if observation.ending is not None:
        return observation.ending
    written = (step.completion for step in steps)
    tokens = sum(each.prompt_tokens + each.completion_tokens for each in written)
    spent = (
        len(steps) >= limits.steps,
        limits.tokens is not None and tokens >= limits.tokens,
        limits.seconds is not None and seconds >= limits.seconds,
    )
    return Ending.TRUNCATED if any(spent) else None


def read(steps: Sequence[Step], observation: Observation) -> str:
    """Return what the policy reads after these steps, given what the play shows."""
    return NOT_AN_ACTION if steps and steps[-1].action is None else observation.text


def steps_of(state: State) -> list[Step]:
    return [step_from_plain(each) for each in state["steps"]]


def thought_of(state: State) -> list[Step]:
    """Return the step about to be taken, if there is one."""
    return [] if state["thought"] is None else [step_from_plain(state["thought"])]


async def _after_think(state: State) -> Literal["act", "end"]:
    return "act" if state["ending"] is None else "end"


async def _after_act(state: State) -> Literal["think", "end"]:
    # async, for LangGraph sends anything else through a thread
    return "think" if state["ending"] is None else "end"
