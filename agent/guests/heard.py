"""Messages of someone else's agent in plain words: who spoke, and what was said or asked for.

They are LangChain's or dicts of OpenAI's form; nothing of LangChain is needed to read either.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from environments.episode import Completion

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
"""LangChain's words for who speaks, in OpenAI's; any other is someone who is not the model."""

CHUNK = "MessageChunk"
"""What LangChain appends to the type of a message that came in pieces."""

Heard = dict[str, str]


def chat_of(messages: Sequence[Any]) -> list[Heard]:
    """Return messages as a chat of roles and words.

    >>> chat_of([{"role": "user", "content": "Find the door."}])
    [{'role': 'user', 'content': 'Find the door.'}]
    """
    return [{"role": _role(each), "content": words_of(each)} for each in messages]


def words_of(message: Any) -> str:  # noqa: ANN401 - a message of LangChain, or a plain one
    """Return what a message says, and on a line of its own each tool that it calls."""
    if isinstance(message, Mapping):
        return _plain_words(message.get("content"))
    calls = (
        f"{call['name']}({json.dumps(call['args'], ensure_ascii=False, default=str)})"
        for call in getattr(message, "tool_calls", ())
    )
    return "\n".join(filter(None, (str(message.text), *calls)))


def written_by(message: Any) -> Completion:  # noqa: ANN401 - a message of LangChain, or a plain one
    """Return what a model wrote, with the tokens that it says it took."""
    usage = getattr(message, "usage_metadata", None) or {}
    return Completion(
        text=words_of(message),
        prompt_tokens=usage.get("input_tokens", 0),
        completion_tokens=usage.get("output_tokens", 0),
    )


def turns_of(messages: Sequence[Any]) -> list[tuple[list[Heard], Completion]]:
    """Return each message of the model with the chat that it answers."""
    chat = chat_of(messages)
    return [
        (chat[:place], written_by(messages[place]))
        for place, said in enumerate(chat)
        if place and said["role"] == "assistant"
    ]


def _role(message: Any) -> str:  # noqa: ANN401 - a message of LangChain, or a plain one
    if isinstance(message, Mapping):
        return str(message["role"])
    return ROLES.get(message.type.removesuffix(CHUNK).lower(), "user")


def _plain_words(content: object) -> str:
    """Return the words of a content: a text, or parts of which only texts have words."""
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
