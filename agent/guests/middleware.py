"""Recalling and reporting as a middleware of LangChain's `create_agent`.

What memory says joins the system message of every call, so nothing is added to the conversation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NotRequired

from langchain_core.messages import SystemMessage

from environments.errors import UserError

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
except ImportError as error:
    raise UserError(f"no agents of LangChain: {error}; pip install '.[langchain]'") from error

Begin = Callable[[Sequence[Any]], tuple[str, str]]
"""From the messages at the start to the id of the attempt and what memory says before it."""


class Briefed(AgentState[Any]):
    """What an attempt carries from its beginning to its end."""

    apprentice_episode: NotRequired[str]
    apprentice_briefing: NotRequired[str]


class Remembering(AgentMiddleware[Briefed, Any, Any]):
    """Every invocation of the agent is an attempt: briefed before, kept after."""

    state_schema = Briefed

    def __init__(
        self,
        begin: Begin,
        report: Callable[[Mapping[str, Any]], object],
        solved: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        self._begin, self._report, self._solved = begin, report, solved

    def before_agent(self, state: Briefed, runtime: object) -> dict[str, Any]:
        id, briefing = self._begin(state["messages"])
        return {"apprentice_episode": id, "apprentice_briefing": briefing}

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        return handler(_briefed(request))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        return await handler(_briefed(request))

    def after_agent(self, state: Briefed, runtime: object) -> None:
        self._report({**state, "solved": self._solved(state)})


def _briefed(request: ModelRequest[Any]) -> ModelRequest[Any]:
    """Return a request whose system message ends with what memory says."""
    briefing = request.state.get("apprentice_briefing")
    if not briefing:
        return request
    rules = request.system_message
    words = briefing if rules is None else f"{rules.text}\n\n{briefing}"
    return request.override(system_message=SystemMessage(words))
