"""What happens, as OpenTelemetry spans: who acts, where, and what is recalled, wrapped here only.

Names follow the conventions for generative AI (semantic-conventions-genai 0.1.0, all of it still
in development): an episode is `invoke_agent`, a call of a policy `chat`, a step of an environment
`execute_tool`, a recall `search_memory`, a round of learning `invoke_workflow`. Ours begin with
`apprentice.`. The words of all these are left out unless they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Tracer

from agent.endpoints.chat import as_chat
from environments.environment import Environment, Observation, Play
from environments.errors import UserError

if TYPE_CHECKING:
    from agent.attempt import Attempt
    from agent.policy import Policy
    from apprentice.runs.remember import Reminder, Told
    from apprentice.runs.runs import Rig
    from environments.episode import Completion, Task
    from environments.transcript import Turn

US = "apprentice"
"""The name of the agent, of the service, and of a provider whose models run in this process."""

OPENAI = "openai"

CONVERSATION = "gen_ai.conversation.id"
"""The episode's id on every span of it, for what is recalled before it stands outside of it."""

EPISODE = "apprentice.episode"
"""The key of the context under which the span of the episode under way is found."""

EXTRA = "pip install '.[otel]'"


class Spans:
    """Wraps what a run is made of, so that it is told to a tracer as it happens."""

    def __init__(self, tracer: Tracer, *, content: bool) -> None:
        self._tracer, self._content = tracer, content

    def policy(self, policy: Policy) -> Policy:
        """Return the policy, each of whose turns is a span."""
        return cast("Policy", _Policy(policy, self._tracer, content=self._content))

    def rig(self, rig: Rig) -> Rig:
        """Return what a run needs, its episodes, steps and recalls as spans; the policy is not.

        A search looks ahead in many plays at once, and none of them is an episode.
        """
        here = rig.environment
        world = here if rig.search is not None else self._environment(here)
        reminder = rig.reminder and cast("Reminder", _Reminder(rig.reminder, self._tracer))
        return replace(rig, environment=world, reminder=reminder)

    @contextmanager
    def round(self, id: str) -> Generator[Callable[[str], AbstractContextManager[object]]]:
        """Let everything inside be part of a round; yield what a stage of it is put into."""
        given = _about("invoke_workflow", **{"gen_ai.agent.name": "learn", "apprentice.round": id})
        with self._tracer.start_as_current_span("invoke_workflow learn", attributes=given):
            yield lambda stage: self._tracer.start_as_current_span(f"stage {stage}")

    def _environment(self, environment: Environment) -> Environment:
        return cast(Environment, _Environment(environment, self._tracer, content=self._content))


@cache
def exporting(endpoint: str, *, content: bool) -> Spans:
    """Return spans that are sent to a collector, those left when the program ends too.

    Args:
        endpoint: where it takes OTLP over HTTP, such as http://127.0.0.1:4318.
        content: whether words are sent: transcripts, completions, actions, observations.

    Raises:
        UserError: the exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UserError(f"tracing.endpoint is set, but {error}; {EXTRA}") from error
    release = version("skill-apprentice")
    about = Resource.create({"service.name": US, "service.version": release})
    provider = TracerProvider(resource=about)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider.get_tracer(US, release), content=content)


class _Wrapped:
    """Stands for something, and is it in all that is not said otherwise."""

    def __init__(self, inner: Any, tracer: Tracer) -> None:  # noqa: ANN401 - whatever it is
        self._inner, self._tracer = inner, tracer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner one has
        return getattr(self._inner, name)


class _Policy(_Wrapped):
    def __init__(self, inner: Policy, tracer: Tracer, *, content: bool) -> None:
        super().__init__(inner, tracer)
        self._content = content
        kind, _, model = inner.name.partition(":")
        self._elsewhere = kind == OPENAI
        self._provider = OPENAI if self._elsewhere else US
        self._model = model if self._elsewhere else inner.name

    async def complete(self, turn: Turn) -> Completion:
        given: dict[str, Any] = {
            "gen_ai.request.model": self._model,
            "gen_ai.request.seed": turn.seed,
            CONVERSATION: turn.episode,
        }
        if self._inner.temperature is not None:
            given["gen_ai.request.temperature"] = self._inner.temperature
        if isinstance(episode := context.get_value(EPISODE), Span):
            episode.set_attribute(CONVERSATION, turn.episode)  # its play does not know it
        with self._tracer.start_as_current_span(
            f"chat {self._model}",
            kind=SpanKind.CLIENT if self._elsewhere else SpanKind.INTERNAL,
            attributes=_about("chat", self._provider, **given),
        ) as span:
            written: Completion = await self._inner.complete(turn)
            span.set_attribute("gen_ai.usage.input_tokens", written.prompt_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", written.completion_tokens)
            if self._content:
                read = [_message(each["role"], each["content"]) for each in as_chat(turn.messages)]
                wrote = [_message("assistant", written.text) | {"finish_reason": "stop"}]
                span.set_attribute("gen_ai.input.messages", json.dumps(read))
                span.set_attribute("gen_ai.output.messages", json.dumps(wrote))
        return written


class _Environment(_Wrapped):
    def __init__(self, inner: Environment, tracer: Tracer, *, content: bool) -> None:
        super().__init__(inner, tracer)
        self._content = content

    def start(self, task: Task) -> Play:
        """Begin a play and its span, in which everything is until the play is closed."""
        play = self._inner.start(task)
        span = self._tracer.start_span(
            f"invoke_agent {US}",
            attributes=_about(
                "invoke_agent",
                **{
                    "gen_ai.agent.name": US,
                    "apprentice.task": task.id,
                    "apprentice.kind": task.kind,
                    "apprentice.split": task.split.value,
                    "apprentice.environment": task.environment,
                },
            ),
        )
        return cast(Play, _Play(play, self._tracer, span, task.environment, self._content))


class _Play(_Wrapped):
    def __init__(self, inner: Play, tracer: Tracer, span: Span, tool: str, content: bool) -> None:
        super().__init__(inner, tracer)
        self._span, self._tool, self._content = span, tool, content
        self._steps = 0
        within = context.set_value(EPISODE, span, trace.set_span_in_context(span))
        self._before = context.attach(within)

    def step(self, action: str) -> Observation:
        given: dict[str, Any] = {"gen_ai.tool.name": self._tool, "gen_ai.tool.type": "function"}
        if self._content:
            given["gen_ai.tool.call.arguments"] = json.dumps({"action": action})
        with self._tracer.start_as_current_span(
            f"execute_tool {self._tool}", attributes=_about("execute_tool", **given)
        ) as span:
            seen: Observation = self._inner.step(action)
            self._steps += 1
            span.set_attribute("apprentice.reward", seen.reward)
            if self._content:
                span.set_attribute("gen_ai.tool.call.result", json.dumps({"text": seen.text}))
        return seen

    def close(self) -> None:
        """End the span, with how the play ended; `unfinished` is one that was cut off or broke."""
        self._inner.close()
        if not self._span.is_recording():
            return
        ended = self._inner.observation.ending
        self._span.set_attribute("apprentice.ending", ended.value if ended else "unfinished")
        self._span.set_attribute("apprentice.steps", self._steps)
        self._span.end()
        context.detach(self._before)


class _Reminder(_Wrapped):
    def brief(self, attempts: Iterable[Attempt], told: Told) -> Iterator[Attempt]:
        briefed = self._inner.brief(attempts, told)
        while True:
            span = self._tracer.start_span("search_memory", attributes=_about("search_memory"))
            attempt: Attempt | None = next(briefed, None)
            if attempt is None:
                return  # a span that is not ended is never told
            found = told.get(attempt.id)
            span.set_attribute(CONVERSATION, attempt.id)
            span.set_attribute("apprentice.recalled", len(found.shown) if found else 0)
            span.end()
            yield attempt


def _about(operation: str, provider: str = US, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - a scalar
    return {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, **rest}


def _message(role: str, words: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": words}]}
