"""Someone else's compiled LangGraph as a policy: their graph acts, everything else stays ours.

It is handed the transcript as chat messages, the briefing among them, and its last message is what
it did. So it practises, is recorded, criticized and compared like any other policy.
"""

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agent.endpoints.chat import as_chat, asking
from environments.episode import Completion
from environments.errors import UserError
from environments.transcript import Turn

RECURSION = 50
"""Nodes that one turn of a guest may take: LangGraph's own limit of 10,007 would let one that
cannot stop call its model as often."""

WIDTH = 8
"""Turns at once: a guest mostly waits for a model elsewhere."""

ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


class GuestError(UserError, TypeError):
    """A graph that cannot be found, or does not answer as a policy must."""


class Graph(Protocol):
    """What is needed of a compiled graph."""

    async def ainvoke(self, input: Any, config: Any = None) -> Any: ...  # noqa: ANN401 - LangGraph's


class GuestPolicy:
    """Acts by running a graph once a turn; its state needs `messages` and nothing else."""

    temperature: float | None = None
    width = WIDTH

    def __init__(self, name: str, graph: Graph) -> None:
        self.name = f"graph:{name}"
        self._graph = graph

    async def complete(self, turn: Turn) -> Completion:
        """Write the graph's last message.

        Raises:
            GuestError: its state holds no message of its own at the end.
        """
        chat = asking(as_chat(turn.messages), turn.admissible)
        messages = [ROLES[each["role"]](each["content"]) for each in chat]
        state = await self._graph.ainvoke({"messages": messages}, {"recursion_limit": RECURSION})
        last = _last(state)
        if not isinstance(last, AIMessage):
            raise GuestError(
                f"{self.name} ended without a message of its own; its state needs `messages`, "
                "and the last of them is what it does"
            )
        usage = last.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        return Completion(
            text=str(last.text),
            prompt_tokens=usage["input_tokens"],
            completion_tokens=usage["output_tokens"],
        )

    async def close(self) -> None:
        """Hold nothing."""
        await asyncio.sleep(0)


def load_guest(name: str, here: Path) -> GuestPolicy:
    """Return the policy of a graph that is named as `module:variable`.

    Args:
        name: of the module, found as Python finds it or in `here`, and of the graph in it.
        here: where a user's own modules are.

    Raises:
        GuestError: there is no such graph.
    """
    module, _, variable = name.partition(":")
    if not module or not variable:
        raise GuestError(f"a graph is named module:variable, not {name!r}")
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))
    try:
        graph = getattr(import_module(module), variable)
    except (ImportError, AttributeError) as error:
        raise GuestError(f"no graph {name!r}: {error}; give module:variable") from error
    if not hasattr(graph, "ainvoke"):
        raise GuestError(f"{name!r} is a {type(graph).__name__}; give a compiled graph")
    return GuestPolicy(name, cast(Graph, graph))


def _last(state: object) -> BaseMessage | None:
    messages: Sequence[BaseMessage] = state.get("messages", ()) if isinstance(state, dict) else ()
    return messages[-1] if messages else None
