"""The endpoint behind `apprentice serve`: OpenAI's chat completions, briefed and recorded."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import ValidationError

from apprentice.serve.answering import Local, Upstream
from apprentice.serve.outside import new_id
from apprentice.serve.sessions import Session, Sessions
from apprentice.serve.wire import Asked, Plain, Reported, RequestError, fault, pieces, whole
from environments.episode import Completion
from environments.errors import ContextFullError, UserError

Form = TypeVar("Form", Asked, Reported)

ALIAS = "apprentice"
"""A name for whoever acts now, so that a caller need not follow promotions."""

UNSUPPORTED = 400
FAILED = 500
MISSING = 404


@dataclass(frozen=True, slots=True)
class Counter:
    """All that the endpoint needs."""

    answers: Local | Upstream
    sessions: Sessions
    clock: Callable[[], datetime]


def create_app(counter: Counter) -> FastAPI:
    """Return the endpoint; when it stops, what is open is kept."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await asyncio.to_thread(counter.sessions.close)
        if isinstance(counter.answers, Upstream):
            await counter.answers.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_api_route("/v1/models", partial(_models, counter), methods=["GET"])
    app.add_exception_handler(Exception, _broken)
    _add_errors(app)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await _read(request)
        asked = _checked(Asked, body)
        session = await asyncio.to_thread(counter.sessions.begin, asked)
        if isinstance(counter.answers, Upstream):
            return await _passed_on(counter, counter.answers, request, body, asked, session)
        return await _answered(counter, counter.answers, asked, session)

    @app.post("/v1/outcomes")
    async def outcomes(request: Request) -> Plain:
        reported = _checked(Reported, await _read(request))
        episode = await asyncio.to_thread(counter.sessions.end, reported)
        return {
            "episode": episode.id,
            "ending": episode.ending.value,
            "steps": len(episode.steps),
            "stored": bool(episode.steps),
        }

    return app


async def _answered(counter: Counter, local: Local, asked: Asked, session: Session) -> Response:
    _supported(asked, local.name)
    written, logprobs = await local.write(asked, session)
    counter.sessions.record(session, asked, written)
    made = int(counter.clock().timestamp())
    answer = whole(f"chatcmpl-{new_id()}", local.name, made, written, logprobs)
    if not asked.stream:
        return JSONResponse(answer)
    with_usage = asked.stream_options is not None and asked.stream_options.include_usage
    return StreamingResponse(_events(pieces(answer, with_usage=with_usage)), 200, None, EVENTS)


async def _passed_on(
    counter: Counter,
    upstream: Upstream,
    request: Request,
    body: Plain,
    asked: Asked,
    session: Session,
) -> Response:
    def keep(written: Completion) -> None:
        counter.sessions.record(session, asked, written)

    key = request.headers.get("x-upstream-authorization", "")
    answer = await upstream.pass_on(body, session, key, keep)
    return StreamingResponse(answer.body, answer.status, dict(answer.headers))


EVENTS = "text/event-stream"


async def _events(parts: list[Plain]) -> AsyncGenerator[str]:
    for part in parts:
        yield f"data: {json.dumps(part, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


async def _models(counter: Counter) -> Plain:
    if isinstance(counter.answers, Upstream):
        return await counter.answers.models()
    made = int(counter.clock().timestamp())
    names = (counter.answers.name, ALIAS)
    data = [{"id": each, "object": "model", "created": made, "owned_by": ALIAS} for each in names]
    return {"object": "list", "data": data}


def _supported(asked: Asked, name: str) -> None:
    """Refuse what a policy here cannot do, rather than leave it out in silence."""
    if asked.model not in ("", ALIAS, name):
        raise RequestError(
            f"no model {asked.model!r} here; known: {ALIAS}, {name}",
            status=MISSING,
            code="model_not_found",
        )
    if asked.n != 1:
        raise RequestError(f"n is {asked.n}; this endpoint writes 1 answer a request")
    if asked.tools:
        raise RequestError("tools are not supported here; pass `admissible`, a list of actions")


async def _read(request: Request) -> Plain:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise RequestError(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError("the body is no JSON object")
    return body


def _checked(form: type[Form], body: Plain) -> Form:
    try:
        return form.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where}: {first['msg']}") from None


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UserError)
    async def mendable(_: Request, error: UserError) -> JSONResponse:
        if isinstance(error, RequestError):
            kind = "invalid_request_error" if error.status < FAILED else "api_error"
            return JSONResponse(fault(str(error), kind, error.code), error.status)
        if isinstance(error, ContextFullError):
            told = fault(str(error), "invalid_request_error", "context_length_exceeded")
            return JSONResponse(told, UNSUPPORTED)
        return JSONResponse(fault(str(error), "api_error"), FAILED)

    @app.exception_handler(MISSING)
    async def missing(request: Request, _: Exception) -> JSONResponse:
        known = "/v1/chat/completions, /v1/models, /v1/outcomes"
        told = f"nothing at {request.url.path}; known: {known}"
        return JSONResponse(fault(told, "invalid_request_error"), MISSING)


async def _broken(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(fault(f"{type(error).__name__} in the server", "api_error"), FAILED)
