"""One request to an OpenAI-compatible endpoint: what comes back is a checked reply or one line.

The openai client does the waiting and the retrying (lost connections, 408, 409, 429, 5xx; it
honors Retry-After). Its many exceptions end here, as sentences that say which knob to turn.
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import openai
from pydantic import BaseModel, Field, ValidationError

from agent.endpoints.endpoint import Endpoint, EndpointError, first_fault
from environments.episode import Completion
from environments.errors import ContextFullError

TOO_LONG = "context_length_exceeded"
"""OpenAI's code for a prompt that the model cannot hold; other servers say it in words."""

TOO_LONG_IN_WORDS = "maximum context length"
"""vLLM's and llama.cpp's."""

SAID_LENGTH = 200
"""Characters of a server's own message that we repeat; some answer with a whole web page."""

SEEDS = 1 << 31
"""Some servers read a seed as a signed int32; to some the last unsigned one means: at random."""

SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Half a character beyond U+FFFF, as JSON spells it; alone it is no text and cannot be read."""

_Form = TypeVar("_Form", bound=BaseModel)


class Client:
    """A connection pool to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._openai = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key,
            timeout=endpoint.timeout_s,
            max_retries=endpoint.retries,
        )

    async def write(self, messages: Sequence[Mapping[str, str]], seed: int) -> Completion:
        """Return what the model writes next.

        Raises:
            EndpointError: it wrote nothing, after all retries.
        """
        create: Any = self._openai.chat.completions.with_raw_response.create
        sent = create(messages=messages, **self._options(seed))
        return self._recorded(await self._read(sent, _Reply))

    async def write_as(
        self, messages: Sequence[Mapping[str, str]], seed: int, form: type[BaseModel]
    ) -> Completion:
        """Return what the model writes next, held to a JSON schema by the server.

        Raises:
            EndpointError: it wrote nothing, or the server cannot hold a model to a schema.
        """
        parse: Any = self._openai.chat.completions.with_raw_response.parse
        sent = parse(messages=messages, response_format=form, **self._options(seed))
        return self._recorded(await self._read(sent, _Reply))

    async def go_on(
        self, model: str, ids: Sequence[int], seed: int, held: Mapping[str, Any]
    ) -> Completion:
        """Return what a model writes after these tokens: its tokens, and the logprob of each.

        Only a server such as vLLM takes tokens and tells them; none of it is ever re-tokenized.

        Args:
            model: the name of the weights; the answer carries the one that the server says.
            ids: the prompt, complete.
            seed: of this answer.
            held: the server's own options, such as what it holds the model to.

        Raises:
            EndpointError: it wrote nothing, after all retries.
        """
        create: Any = self._openai.completions.with_raw_response.create
        sent = create(
            model=model,
            prompt=list(ids),
            seed=seed % SEEDS,
            max_tokens=self._endpoint.max_tokens,
            temperature=self._endpoint.temperature,
            logprobs=0,  # that of the token taken, and of no other
            extra_body={"return_token_ids": True, **held},
        )
        return self._continued(await self._read(sent, _Continuation), len(ids))

    async def load(self, name: str, folder: str) -> None:
        """Have a vLLM server load a LoRA under a name.

        Raises:
            EndpointError: it did not.
        """
        sent = self._openai.post(
            "/load_lora_adapter", body={"lora_name": name, "lora_path": folder}, cast_to=str
        )
        try:
            await sent
        except openai.OpenAIError as error:
            raise _endpoint_error(error, self._endpoint) from error

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models that the endpoint serves, sorted.

        Raises:
            EndpointError: it does not tell.
        """
        list_models: Any = self._openai.models.with_raw_response.list
        listing = await self._read(list_models(), _Listing)
        return tuple(sorted(model.id for model in listing.data))

    async def close(self) -> None:
        await self._openai.close()

    def _options(self, seed: int) -> dict[str, Any]:
        options: dict[str, Any] = {
            "model": self._endpoint.model,
            "seed": seed % SEEDS,
            self._endpoint.length_option: self._endpoint.max_tokens,
        }
        if self._endpoint.temperature is not None:
            options["temperature"] = self._endpoint.temperature
        if self._endpoint.logprobs:
            options |= {"logprobs": True, "extra_body": {"return_token_ids": True}}
        return options

    async def _read(self, sent: Awaitable["_Answered"], form: type[_Form]) -> _Form:
        try:
            return _parsed((await sent).content, form)
        except openai.OpenAIError as error:
            raise _endpoint_error(error, self._endpoint) from error
        except ValidationError as error:
            raise EndpointError(
                f"{self._endpoint.base_url} answered, but not as a chat endpoint does "
                f"({_one_line(first_fault(error))}); "
                f"set {self._endpoint.set_by} to where the API begins"
            ) from error

    def _recorded(self, reply: "_Reply") -> Completion:
        choice = reply.choices[0]
        usage = reply.usage or _Usage()
        tokens = choice.token_ids or ()
        sampled = (choice.logprobs and choice.logprobs.content) or ()
        logprobs = tuple(each.logprob for each in sampled)
        if self._endpoint.logprobs:
            self._insist(tokens, logprobs)
        return Completion(
            text=choice.message.content or "",
            token_ids=tokens,
            logprobs=logprobs,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )

    def _continued(self, reply: "_Continuation", prompt: int) -> Completion:
        choice = reply.choices[0]
        tokens = choice.token_ids or ()
        logprobs = choice.logprobs.token_logprobs if choice.logprobs else ()
        self._insist(tokens, logprobs)
        return Completion(
            text=choice.text,
            token_ids=tokens,
            logprobs=logprobs,
            prompt_tokens=prompt,
            completion_tokens=len(tokens),
            version=reply.model,
        )

    def _insist(self, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        if not len(tokens) == len(logprobs) > 0:
            raise EndpointError(
                f"{self._endpoint.base_url} told {len(tokens)} token ids and {len(logprobs)} "
                "logprobs of a completion; serve the model with vLLM, or turn logprobs off"
            )


class _Answered(Protocol):
    @property
    def content(self) -> bytes: ...


class _Words(BaseModel):
    content: str | None = None  # None: a refusal, or all of it went into hidden reasoning


class _TokenLogprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: tuple[_TokenLogprob, ...] | None = None


class _Choice(BaseModel):
    message: _Words
    logprobs: _Logprobs | None = None
    token_ids: tuple[int, ...] | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Reply(BaseModel):
    """The part of a chat completion that we read."""

    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage | None = None


class _TokenLogprobs(BaseModel):
    token_logprobs: tuple[float, ...]


class _Continued(BaseModel):
    text: str
    token_ids: tuple[int, ...] | None = None
    logprobs: _TokenLogprobs | None = None


class _Continuation(BaseModel):
    """The part of a text completion that we read."""

    choices: tuple[_Continued, ...] = Field(min_length=1)
    model: str


class _Model(BaseModel):
    id: str


class _Listing(BaseModel):
    data: tuple[_Model, ...]


def _parsed(content: bytes, form: type[_Form]) -> _Form:
    """Return the reply; a model can write half a surrogate pair, for which no server is to blame.

    Raises:
        ValidationError: it is no such reply.
    """
    try:
        return form.model_validate_json(content)
    except ValidationError:
        if not SURROGATE.search(content):
            raise
        return form.model_validate_json(SURROGATE.sub(rb"\\ufffd", content))


def _endpoint_error(
    error: openai.OpenAIError, endpoint: Endpoint
) -> EndpointError | ContextFullError:
    if _too_long(error):
        said = _one_line(_said(error))
        advice = "allow fewer steps or take a model with a longer context"
        return ContextFullError(f"{endpoint.base_url} cannot hold the prompt ({said}); {advice}")
    happened, advice = _diagnosis(error, endpoint)
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    return EndpointError(
        f"{endpoint.base_url} {happened} ({_one_line(_said(error))}); {advice}", status
    )


def _too_long(error: openai.OpenAIError) -> bool:
    if not isinstance(error, openai.BadRequestError):
        return False
    return error.code == TOO_LONG or TOO_LONG_IN_WORDS in _said(error)


def _diagnosis(error: openai.OpenAIError, endpoint: Endpoint) -> tuple[str, str]:
    """Return what happened and what to do about it."""
    tries = f"in {endpoint.retries + 1} tries" if endpoint.retries else "at the first try"
    match error:
        case openai.APITimeoutError():
            return (
                f"took longer than {endpoint.timeout_s:g} s {tries}",
                "raise the timeout or lower the concurrency",
            )
        case openai.APIConnectionError():
            return f"gave no whole answer {tries}", f"start the server or set {endpoint.set_by}"
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return "refused the key", "check OPENAI_API_KEY"
        case openai.NotFoundError():
            return (
                f"knows no model {endpoint.model!r}",
                f"check the model's name, and that {endpoint.set_by} ends where the API begins",
            )
        case openai.RateLimitError():
            return f"had no room {tries}", "lower the concurrency, or wait and resume"
        case openai.InternalServerError():
            return f"failed {tries}", "look into the server's log, then resume"
        case _:
            return (
                "rejected the request",
                "check that the server takes the options of OpenAI's chat completions",
            )


def _said(error: BaseException) -> str:
    """Return the words nearest to the cause: the server's own, or the operating system's."""
    if isinstance(error, openai.APIStatusError):
        body: Any = error.body
        return str(body.get("message") or body) if isinstance(body, dict) else str(body or error)
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SAID_LENGTH else f"{line[:SAID_LENGTH]}..."
