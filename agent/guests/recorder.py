"""Follows a run of someone's own LangGraph or LangChain agent, without a change of their code.

    graph.invoke(state, config={"callbacks": [recorder]})
    recorder.outcome(solved=True)

Each call of a model is a step: what was seen since the model spoke last, and what it wrote, the
tools it calls included. Where no model of LangChain was called, the messages that the graph ended
with are the steps. What goes wrong while recording never reaches the run: LangChain logs it.
"""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from agent.guests.heard import Heard, chat_of, turns_of, written_by
from environments.episode import Completion, Episode


class Keeper(Protocol):
    """Who keeps what is recorded, as one episode until its outcome is said."""

    def record(self, chat: Sequence[Heard], written: Completion) -> None:
        """Add a step: what the model was shown, and what it wrote."""
        ...

    def broke(self, error: str) -> None:
        """Note that the run was broken off by an error; it may be begun again."""
        ...

    def end(self, *, solved: bool, reward: float | None, note: str) -> Episode:
        """Keep the episode; the next step is of another one."""
        ...


class Recorder(BaseCallbackHandler):
    """Of one episode at a time, which may take several runs; for runs side by side, one each."""

    run_inline = True  # in the order of what happens, under asyncio too

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._asked: dict[UUID, list[Heard]] = {}
        self._steps = 0  # of this episode
        self._called = False  # whether a model of LangChain was, in this episode

    def outcome(self, *, solved: bool, reward: float | None = None, note: str = "") -> Episode:
        """Say how it ended, and return the episode as it is kept.

        Args:
            solved: whether the task was.
            reward: of the last step; None: 1 if solved, else 0.
            note: what the world said last.

        Raises:
            UserError: nothing was recorded since the last outcome.
        """
        episode = self._keeper.end(solved=solved, reward=reward, note=note)
        self._steps, self._called = 0, False
        return episode

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        self._asked[run_id] = chat_of(messages[0])

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        self._asked[run_id] = [{"role": "user", "content": prompts[0]}]

    def on_llm_end(
        self,
        response: LLMResult,
        *,
        run_id: UUID,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        said = response.generations[0][0]
        message = getattr(said, "message", None)  # a model of plain text has none
        written = Completion(text=said.text) if message is None else written_by(message)
        self._called = True
        self._record(self._asked.pop(run_id), written)

    def on_llm_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        self._asked.pop(run_id, None)

    def on_chain_end(
        self,
        outputs: Any,  # noqa: ANN401 - whatever the state of the graph is
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        if parent_run_id is None and not self._called and isinstance(outputs, dict):
            for chat, written in turns_of(outputs.get("messages") or ())[self._steps :]:
                self._record(chat, written)

    def on_chain_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,  # noqa: ANN401 - LangChain's
    ) -> None:
        if parent_run_id is None and isinstance(error, Exception):  # Ctrl-C is no fault of theirs
            self._keeper.broke(f"{type(error).__name__}: {error}")

    def _record(self, chat: Sequence[Heard], written: Completion) -> None:
        self._keeper.record(chat, written)
        self._steps += 1
