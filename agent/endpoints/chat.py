"""A policy, and a source of structured answers, behind any OpenAI-compatible endpoint.

Only the request is dressed up for a chat model (roles, the list of actions to choose from); what
is recorded is the transcript as everyone else knows it.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from agent.endpoints.endpoint import Endpoint, EndpointError, ReplyError
from agent.endpoints.structured import Reply, Wrong, corrected, read_as, request_for
from environments.episode import Completion
from environments.transcript import Message, Turn

CHOOSE = "Choose one of these actions and answer with it alone:\n{actions}"

UNKNOWN_OPTION = (400, 422)
"""HTTP statuses by which servers refuse an option, such as a response format, that they lack."""

Chat = list[dict[str, str]]


class ChatPolicy:
    """Many coroutines may ask at once; the endpoint's width says how many it likes."""

    def __init__(self, endpoint: Endpoint) -> None:
        from agent.endpoints.client import Client  # openai: 0.7 s, so only those who chat pay it

        self.name = f"openai:{endpoint.model}"
        self.temperature = endpoint.temperature
        self.width = endpoint.width
        self._client = Client(endpoint)
        self._holds_schemas = True  # until the server shows that it does not

    async def complete(self, turn: Turn) -> Completion:
        """Write the next message of the turn's transcript.

        Raises:
            EndpointError: the endpoint did not answer, after all retries.
        """
        chat = asking(as_chat(turn.messages), turn.admissible)
        return await self._client.write(chat, turn.seed)

    async def ask(self, messages: Sequence[Message], form: type[Reply], *, seed: int) -> Reply:
        """Return the model's answer in the form of a pydantic model.

        The server holds the model to the schema where it can; where it cannot, the schema is
        asked for in words, and the answer may be corrected once.

        Raises:
            EndpointError: the endpoint did not answer, after all retries.
            ReplyError: the model did not answer in that form.
        """
        chat = as_chat(messages)
        reply = await self._held(chat, form, seed) if self._holds_schemas else None
        return await self._in_words(chat, form, seed) if reply is None else reply

    async def close(self) -> None:
        await self._client.close()

    async def _held(self, chat: Chat, form: type[Reply], seed: int) -> Reply | None:
        """Return an answer that the server held to the schema, or None if it did not."""
        try:
            answer = await self._client.write_as(chat, seed, form)
        except EndpointError as error:
            if error.status not in UNKNOWN_OPTION:
                raise
            self._holds_schemas = False
            return None
        try:
            return read_as(answer.text, form)
        except ReplyError:
            return None  # the server knew the option and did nothing about it

    async def _in_words(self, chat: Chat, form: type[Reply], seed: int) -> Reply:
        chat = _adding(chat, request_for(form))

        async def say(wrong: Wrong | None) -> Completion:
            shown: Chat = []
            if wrong is not None:
                shown = [
                    {"role": "assistant", "content": wrong.text},
                    {"role": "user", "content": wrong.fault},
                ]
            return await self._client.write([*chat, *shown], seed)

        return await corrected(say, form)


def reach(endpoint: Endpoint) -> str:
    """Return in words that the endpoint is there, takes the key and serves the model.

    Raises:
        EndpointError: it does not.
    """
    from agent.endpoints.client import Client

    async def models() -> tuple[str, ...]:
        client = Client(endpoint)
        try:
            return await client.models()
        finally:
            await client.close()

    served = asyncio.run(models())
    if endpoint.model not in served:
        raise EndpointError(
            f"{endpoint.base_url} serves no model {endpoint.model!r}, but {', '.join(served)}; "
            "name one of these, or load yours there"
        )
    return f"{endpoint.base_url} serves {endpoint.model}"


def as_chat(messages: Sequence[Message]) -> Chat:
    """Return the messages as a chat, in which no role speaks twice in a row."""
    return [
        {"role": role, "content": "\n\n".join(message.text for message in spoken)}
        for role, spoken in groupby(messages, key=attrgetter("role"))
    ]


def asking(chat: Chat, admissible: Sequence[str]) -> Chat:
    """Return the chat with the list of actions to choose from, if there is one, in its end."""
    return _adding(chat, CHOOSE.format(actions=_numbered(admissible))) if admissible else chat


def _adding(chat: Chat, request: str) -> Chat:
    last = chat[-1]
    return [*chat[:-1], {**last, "content": f"{last['content']}\n\n{request}"}]


def _numbered(actions: Sequence[str]) -> str:
    return "\n".join(f"{place}. {action}" for place, action in enumerate(actions, 1))
