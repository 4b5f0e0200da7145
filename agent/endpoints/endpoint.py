"""Where a chat model is served, as a value, and the one error that comes of it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import ValidationError

from environments.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible address."""

    model: str
    base_url: str  # where the API begins; often ends in /v1
    api_key: str = field(default="EMPTY", repr=False)  # local servers want none, the client does
    temperature: float | None = None  # None: the server's own default
    max_tokens: int = 512  # of one completion
    timeout_s: float = 60.0  # without a byte from the server
    retries: int = 4  # 0.5, 1, 2, 4 s apart, or as the server asks for by Retry-After
    width: int = 8  # requests at once
    set_by: str = "OPENAI_BASE_URL"  # the setting that names the address, for advice
    logprobs: bool = False  # record token ids and logprobs; the server must tell both, as vLLM does

    @property
    def length_option(self) -> str:
        """Return this server's word for `max_tokens`: OpenAI's newer models refuse the old one."""
        host = urlsplit(self.base_url).hostname or ""
        renamed = host.endswith(("openai.com", "openai.azure.com"))
        return "max_completion_tokens" if renamed else "max_tokens"


class EndpointError(UserError, ConnectionError):
    """The endpoint did not do its work, after all retries."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status  # HTTP; None: there was no usable answer


class ReplyError(UserError, ValueError):
    """The model did not answer in the form that was asked for, even when corrected."""


def first_fault(error: ValidationError) -> str:
    """Return where and how an answer departs from its form."""
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")
