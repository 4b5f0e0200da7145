"""A model's answer in the form of a pydantic model, whoever the model is.

An endpoint can often hold its model to a schema; a model in this process only writes text. Both
are asked here, so that a critic works with either.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError

from agent.endpoints.endpoint import ReplyError, first_fault
from environments.episode import Completion
from environments.transcript import Message, Origin, Turn

AS_JSON = "Answer with one JSON object that fits this schema, and nothing else:\n{schema}"
CORRECT = "That does not fit: {fault}.\nAnswer again, with the JSON object alone."

LONGEST_ANSWER = 100_000
"""Characters that are read at all. Ours need 2,000; checking megabytes costs seconds and memory."""

LONGEST_SHOWN = 2_000
"""Characters of a wrong answer that its writer is shown again; more might not fit its context."""

Reply = TypeVar("Reply", bound=BaseModel)


class OverlongError(ReplyError):
    """The model wrote more than is read."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that is not in its form."""

    text: str  # its beginning
    fault: str  # in words for its writer


class Writer(Protocol):
    """Whoever can continue a transcript: every policy."""

    @property
    def name(self) -> str: ...

    async def complete(self, turn: Turn) -> Completion: ...


@runtime_checkable
class Asker(Protocol):
    """A policy that can be held to a form."""

    async def ask(self, messages: Sequence[Message], form: type[Reply], *, seed: int) -> Reply: ...


async def ask(
    writer: Writer, messages: Sequence[Message], form: type[Reply], *, seed: int, about: str
) -> Reply:
    """Return the writer's answer in a form; one that only writes may correct itself once.

    Args:
        writer: a policy.
        messages: what it is told.
        form: what it is to answer.
        seed: all the randomness of the answer.
        about: under which a policy may keep a cache; unlike any episode's id.

    Raises:
        ReplyError: it did not answer in that form.
        UserError: it could not answer at all.
    """
    if isinstance(writer, Asker):
        return await writer.ask(messages, form, seed=seed)
    asked = (*messages, Message(Origin.CRITIQUE, request_for(form)))

    async def say(wrong: Wrong | None) -> Completion:
        shown: tuple[Message, ...] = ()
        if wrong is not None:
            shown = (Message(Origin.POLICY, wrong.text), Message(Origin.CRITIQUE, wrong.fault))
        return await writer.complete(Turn(messages=(*asked, *shown), seed=seed, episode=about))

    return await corrected(say, form)


async def corrected(
    say: Callable[[Wrong | None], Awaitable[Completion]], form: type[Reply]
) -> Reply:
    """Return an answer in a form, for which its writer has two tries.

    Args:
        say: has an answer written; the second time, after the one that was wrong.
        form: what it is to be.

    Raises:
        ReplyError: it was wrong again, or too long to be read.
    """
    answer = await say(None)
    try:
        return read_as(answer.text, form)
    except OverlongError:
        raise  # it would repeat itself
    except ReplyError as error:
        wrong = Wrong(answer.text[:LONGEST_SHOWN], CORRECT.format(fault=error))
    return read_as((await say(wrong)).text, form)


@cache
def request_for(form: type[BaseModel]) -> str:
    """Return the words that ask for a form; a schema takes pydantic 3 ms to tell."""
    return AS_JSON.format(schema=json.dumps(form.model_json_schema()))


def read_as(text: str, form: type[Reply]) -> Reply:
    """Return the JSON object in a text.

    Raises:
        ReplyError: there is none in that form.
    """
    if len(text) > LONGEST_ANSWER:
        raise OverlongError(
            f"the model wrote {len(text)} characters and {LONGEST_ANSWER} are read; lower its "
            "completion limit"
        )
    bare = text[text.find("{") : text.rfind("}") + 1]  # models wrap JSON in prose and fences
    try:
        return form.model_validate_json(bare)
    except ValidationError as error:
        raise ReplyError(
            f"the model wrote no {form.__name__} ({first_fault(error)}); take one that follows "
            "a JSON schema, or allow longer completions"
        ) from error
