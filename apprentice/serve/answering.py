"""Who writes the answers: the policy in this process, or an endpoint elsewhere, passed through.

Both are handed a chat with its briefing and give back what was written, to be recorded.
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agent.policy import Policy
from apprentice.serve.sessions import Session
from apprentice.serve.wire import Asked, Plain, RequestError, told_logprobs, transcript_of
from environments.episode import Completion
from environments.transcript import Turn

MARKS = ("episode", "kind")
"""Keys of `metadata` that are for us; an upstream is not told."""


class Renderer(Protocol):
    """Of a policy in this process: from tokens to text."""

    def text(self, ids: Any) -> str: ...  # noqa: ANN401 - any sequence of ids


@dataclass(frozen=True, slots=True)
class Local:
    """Answers with a policy. Many requests at once are decoded together, where it can."""

    policy: Policy

    @property
    def name(self) -> str:
        return self.policy.name

    async def write(self, asked: Asked, session: Session) -> tuple[Completion, Plain | None]:
        """Return what the policy writes next, and its logprobs if they were asked for."""
        turn = Turn(
            messages=transcript_of(asked.messages, session.briefing),
            admissible=tuple(asked.admissible or ()),
            seed=session.attempt.seed + len(asked.messages),
            episode=session.attempt.id,
        )
        written = await self.policy.complete(turn)
        return written, told_logprobs(written, self._spell) if asked.logprobs else None

    def _spell(self, token: int) -> str:
        renderer: Renderer | None = getattr(self.policy, "renderer", None)
        return str(token) if renderer is None else renderer.text((token,))


@dataclass(frozen=True, slots=True)
class Answered:
    """What an upstream sent, as it came."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes]


class Upstream:
    """Passes requests on to another endpoint, briefed, and reads along what it answers."""

    def __init__(self, address: str, key: str, timeout_s: float) -> None:
        import httpx2

        self._address = address.rstrip("/")
        self._key = key
        self._client = httpx2.AsyncClient(timeout=timeout_s)
        self._failure = httpx2.HTTPError

    @property
    def name(self) -> str:
        return f"upstream:{self._address}"

    async def pass_on(
        self, body: Plain, session: Session, key: str, keep: Callable[[Completion], None]
    ) -> Answered:
        """Return the upstream's answer; what it wrote is handed to `keep` when all of it came.

        Raises:
            RequestError: it cannot be reached.
        """
        request = self._client.build_request(
            "POST",
            f"{self._address}/chat/completions",
            json=_briefed(body, session.briefing),
            headers={"Authorization": key or f"Bearer {self._key}"},
        )
        try:
            response = await self._client.send(request, stream=True)
        except self._failure as error:
            raise RequestError(
                f"cannot reach the upstream {self._address}: {error}; start it or mend --upstream",
                status=502,
                code="upstream_unreachable",
            ) from error

        async def read_along() -> AsyncGenerator[bytes]:
            parts: list[bytes] = []
            try:
                async for part in response.aiter_bytes():
                    parts.append(part)
                    yield part
            finally:
                await response.aclose()
            if response.is_success:
                keep(_written(b"".join(parts), streamed=bool(body.get("stream"))))

        kind = response.headers.get("content-type", "application/json")
        return Answered(response.status_code, {"content-type": kind}, read_along())

    async def models(self) -> Plain:
        answer = await self._client.get(
            f"{self._address}/models", headers={"Authorization": f"Bearer {self._key}"}
        )
        return answer.json()

    async def close(self) -> None:
        await self._client.aclose()


def _briefed(body: Plain, briefing: str) -> Plain:
    """Return a request without our marks, and with a briefing before the first question."""
    sent = {name: each for name, each in body.items() if name not in ("metadata", "admissible")}
    rest = {k: v for k, v in (body.get("metadata") or {}).items() if k not in MARKS}
    if rest:
        sent["metadata"] = rest
    if not briefing:
        return sent
    messages = list(body["messages"])
    leading = [each["role"] in ("system", "developer") for each in messages]
    place = leading.index(False) if False in leading else len(messages)
    messages.insert(place, {"role": "system", "content": briefing})
    return {**sent, "messages": messages}


def _written(answer: bytes, *, streamed: bool) -> Completion:
    """Return what an upstream wrote, in one piece or in many."""
    text, usage = "", {}
    for told in _pieces(answer) if streamed else [json.loads(answer)]:
        usage = told.get("usage") or usage
        for choice in told.get("choices", ())[:1]:
            text += (choice.get("delta") or choice.get("message") or {}).get("content") or ""
    return Completion(
        text=text,
        prompt_tokens=int(usage.get("prompt_tokens", 0)),
        completion_tokens=int(usage.get("completion_tokens", 0)),
    )


def _pieces(answer: bytes) -> list[Plain]:
    lines = answer.decode("utf-8", "replace").splitlines()
    told = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(each) for each in told if each and each != "[DONE]"]
