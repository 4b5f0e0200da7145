"""OpenAI's chat completions as values: what is asked, what is answered, and how errors are said."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from environments.episode import Completion
from environments.errors import UserError
from environments.transcript import Message, Origin

Plain = dict[str, Any]


class RequestError(UserError, ValueError):
    """A request that is not answered."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Part(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="ignore")
    type: str
    text: str = ""


class Spoken(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        """Return its words; pictures and sounds have none."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class Asked(BaseModel):
    """The part of a request that is read; the rest goes to an upstream as it came."""

    model_config = ConfigDict(extra="allow")
    model: str = ""
    messages: list[Spoken] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    logprobs: bool = False
    n: int = 1
    seed: int | None = None
    tools: list[Plain] | None = None
    metadata: dict[str, str] | None = None  # `episode` and `kind` mark what is to be recorded
    admissible: list[str] | None = None  # ours: the actions to choose from

    def mark(self, name: str) -> str:
        return (self.metadata or {}).get(name, "")


class Reported(BaseModel):
    """How a marked episode ended."""

    model_config = ConfigDict(extra="forbid")
    episode: str
    solved: bool
    reward: float | None = None  # of its last step; None: 1 if solved, else 0
    note: str = ""  # what the world said last


def transcript_of(messages: Sequence[Spoken], briefing: str) -> tuple[Message, ...]:
    """Return a chat as a transcript, with what memory says before the first thing that is asked."""
    told: list[Message] = []
    briefed = not briefing
    for each in messages:
        if each.role in ("system", "developer"):
            told.append(Message(Origin.SYSTEM, each.text))
        elif each.role == "assistant":
            told.append(Message(Origin.POLICY, each.text))
        else:
            asked_before = any(said.origin is Origin.TASK for said in told)
            if not briefed:
                told.append(Message(Origin.MEMORY, briefing))
                briefed = True
            told.append(Message(Origin.ENVIRONMENT if asked_before else Origin.TASK, each.text))
    return tuple(told)


def task_of(messages: Sequence[Spoken]) -> str:
    """Return the first thing that is asked."""
    return next((each.text for each in messages if each.role == "user"), "")


def seen_last(messages: Sequence[Spoken]) -> str:
    """Return what was said since the model spoke last."""
    new: list[str] = []
    for each in reversed(messages):
        if each.role == "assistant":
            break
        if each.role in ("user", "tool"):
            new.append(each.text)
    return "\n\n".join(new[::-1])


def whole(id: str, model: str, made: int, written: Completion, logprobs: Plain | None) -> Plain:
    """Return an answer in one piece."""
    message = {"role": "assistant", "content": written.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
    head = {"id": id, "object": "chat.completion", "created": made, "model": model}
    return {**head, "choices": [choice], "usage": usage(written)}


def pieces(answer: Plain, *, with_usage: bool) -> list[Plain]:
    """Return an answer as the pieces of a stream: who speaks, what is said, that it is over."""
    (choice,) = answer["choices"]
    said = {"content": choice["message"]["content"]}
    head = {name: answer[name] for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"

    def piece(delta: Plain, logprobs: object = None, finish: str | None = None) -> Plain:
        each = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**head, "choices": [each]}

    parts = [
        piece({"role": "assistant", "content": ""}),
        piece(said, choice["logprobs"]),
        piece({}, finish="stop"),
    ]
    return [*parts, {**head, "choices": [], "usage": answer["usage"]}] if with_usage else parts


def usage(written: Completion) -> Plain:
    read, wrote = written.prompt_tokens, written.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def told_logprobs(written: Completion, spell: Callable[[int], str]) -> Plain | None:
    """Return the logprob of each token, in nats; None: the policy tells none."""
    if not written.logprobs:
        return None
    content: list[Plain] = []
    for token, logprob in zip(written.token_ids, written.logprobs, strict=True):
        text = spell(token)
        content.append(
            {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}
        )
    return {"content": content, "refusal": None}


def fault(message: str, kind: str, code: str | None = None, param: str | None = None) -> Plain:
    """Return an error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
