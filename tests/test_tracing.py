"""Spans of real runs, taken from the SDK's own exporter, and once over OTLP from a real process."""

import asyncio
import gzip
import json
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from agent.attempt import Limits
from agent.scripted import RandomPolicy, Scripted
from apprentice import build
from apprentice.commands import learn
from apprentice.runs.runs import Rig, carry_out, plan
from apprentice.runs.tracing import Spans, exporting
from apprentice.settings.config import load
from command import APPRENTICE, environment
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.household.household import Household
from loopback import Quiet, running
from memory.store.records import Run
from memory.store.store import Store
from practicing import NOON, ticking
from reminding import Reminding
from tiny_learner import install_workshop, save_tiny_model, small_config
from worlds import Crashing, Workshop


@contextmanager
def told(*, content=False):
    """Yield spans, and a function that returns those that ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield (
        Spans(provider.get_tracer("test"), content=content),
        lambda name="": [
            each for each in exporter.get_finished_spans() if each.name.startswith(name)
        ],
    )


class Watching:
    def step(self, attempt, step):
        """Nobody looks."""

    def episode(self, episode):
        """Nobody looks."""


def practise(spans, folder, *, policy, world=None, reminder=None):
    """Practise two episodes of three steps at most, and return them."""
    with Store.open(folder / "store.db") as store:
        rig = Rig(
            environment=world or Workshop(),
            policy=spans.policy(policy),
            store=store,
            limits=Limits(steps=3),
            width=2,
            checkpoints=folder,
            clock=ticking(),
            reminder=reminder,
        )
        run = Run(
            id="r",
            environment="workshop",
            split=Split.TRAIN,
            policy="p",
            seed=1,
            episodes=2,
            started=NOON,
            settings="{}",
        )
        store.begin_run(run)
        rig = spans.rig(rig)
        attempts = plan(run, rig.environment.tasks(Split.TRAIN))
        asyncio.run(carry_out(run, attempts, rig, Watching()))
        return {episode.id: episode for episode in store.episodes()}


def test_an_episode_is_a_span_with_its_turns_and_steps_inside(tmp_path):
    with told() as (spans, ended):
        lived = practise(spans, tmp_path, policy=RandomPolicy())
        assert len(ended("invoke_agent apprentice")) == 2
        for whole in ended("invoke_agent"):
            episode = lived[whole.attributes["gen_ai.conversation.id"]]
            inside = [each for each in ended() if each.parent == whole.context]
            turns = [each for each in inside if each.name == "chat random"]
            steps = [each for each in inside if each.name == "execute_tool workshop"]
            assert len(turns) == len(steps) == len(episode.steps) == len(inside) / 2
            assert whole.attributes["apprentice.steps"] == len(steps)
            assert whole.attributes["apprentice.task"] == episode.task.id
            assert {turn.attributes["gen_ai.conversation.id"] for turn in turns} == {episode.id}
            how = "unfinished" if episode.ending is Ending.TRUNCATED else episode.ending.value
            assert whole.attributes["apprentice.ending"] == how


def test_spans_follow_the_conventions_and_hold_no_words(tmp_path):
    with told() as (spans, ended):
        practise(spans, tmp_path, policy=RandomPolicy())
        operations = {each.attributes["gen_ai.operation.name"] for each in ended()}
        assert operations == {"invoke_agent", "chat", "execute_tool"}
        assert {each.attributes["gen_ai.provider.name"] for each in ended()} == {"apprentice"}
        turn = ended("chat")[0].attributes
        assert (turn["gen_ai.request.model"], turn["gen_ai.usage.output_tokens"]) == ("random", 0)
        everything = " ".join(str(dict(each.attributes)) for each in ended())
    assert "door" not in everything
    assert "go to" not in everything


def test_words_are_told_if_they_are_asked_for(tmp_path):
    with told(content=True) as (spans, ended):
        practise(spans, tmp_path, policy=Scripted(["go to hall"] * 3))
        turn, step = ended("chat")[0].attributes, ended("execute_tool")[0].attributes
    first, second = json.loads(turn["gen_ai.input.messages"])
    assert first["role"] == "system"
    assert second["parts"][0]["content"].startswith("You stand at the door.")
    (said,) = json.loads(turn["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "text", "content": "go to hall"}]
    assert json.loads(step["gen_ai.tool.call.arguments"]) == {"action": "go to hall"}
    assert json.loads(step["gen_ai.tool.call.result"]) == {"text": "You are in the hall."}


def test_a_model_elsewhere_is_called_as_a_client(tmp_path):
    policy = Scripted(["look around"] * 3)
    policy.name = "openai:small"
    with told() as (spans, ended):
        practise(spans, tmp_path, policy=policy)
        turn = ended("chat small")[0]
    assert turn.kind is SpanKind.CLIENT
    assert turn.attributes["gen_ai.provider.name"] == "openai"


def test_a_step_that_crashes_is_an_error_and_its_episode_unfinished(tmp_path):
    with told() as (spans, ended):
        lived = practise(spans, tmp_path, policy=Scripted(["go to garden"] * 3), world=Crashing())
        assert {episode.ending for episode in lived.values()} == {Ending.BROKEN}
        assert not ended("execute_tool")[0].status.is_ok
        assert {each.attributes["apprentice.ending"] for each in ended("invoke_agent")} == {
            "unfinished"
        }


def test_what_memory_was_asked_is_a_span_with_the_episode_s_id(tmp_path):
    with told() as (spans, ended):
        memory = Reminding("Saws hang in the hall.")
        lived = practise(spans, tmp_path, policy=RandomPolicy(), reminder=memory)
        found = [each.attributes for each in ended("search_memory")]
    assert {each["gen_ai.conversation.id"] for each in found} == set(lived)
    assert {each["apprentice.recalled"] for each in found} == {0}
    assert len(memory.noted) == 2


def test_a_round_holds_its_stages_and_they_their_episodes(tmp_path):
    with told() as (spans, ended):
        with spans.round("round-1") as within, within("practise"):
            practise(spans, tmp_path, policy=RandomPolicy())
        (whole,), (stage,) = ended("invoke_workflow learn"), ended("stage practise")
        assert stage.parent == whole.context
        assert {each.parent.span_id for each in ended("invoke_agent")} == {stage.context.span_id}
        assert whole.attributes["apprentice.round"] == "round-1"


def test_where_nobody_is_told_nothing_is_wrapped(tmp_path):
    with build.make_rig(load({"home": tmp_path, "policy": {"use": "random"}})) as rig:
        assert (type(rig.policy), type(rig.environment)) == (RandomPolicy, Household)


class Collector(Quiet, BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.got.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.reply(200, b"")


@contextmanager
def collecting():
    """Yield a collector on loopback."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Collector)) as server:
        server.got = []
        yield server


def run_with(endpoint, folder):
    flags = ["--policy", "random", "--memory", "off", "--episodes", "2", "--steps", "3"]
    return subprocess.run(
        [APPRENTICE, "run", *flags],
        cwd=folder,
        env=environment(APPRENTICE_TRACING__ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="2"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_collector_is_sent_all_that_a_command_did(tmp_path):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install '.[otel]'")
    with collecting() as server:
        done = run_with(f"http://127.0.0.1:{server.server_port}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in server.got} == {"/v1/traces"}
    sent = [
        (resource.resource, span)
        for _, request in server.got
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    services = {
        each.value.string_value
        for about, _ in sent
        for each in about.attributes
        if each.key == "service.name"
    }
    assert services == {"apprentice"}
    names = sorted(span.name for _, span in sent)
    assert names.count("invoke_agent apprentice") == 2
    assert names.count("chat random") == names.count("execute_tool household") == 6


def test_without_the_exporter_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UserError, match=r"pip install '\.\[otel\]'"):
        exporting("http://127.0.0.1:1", content=False)


@pytest.mark.slow
def test_a_whole_round_is_told_stage_by_stage(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(install_workshop(tmp_path / "site")))
    model = save_tiny_model(tmp_path / "tiny")
    with told() as (spans, ended):
        monkeypatch.setattr(build, "make_spans", lambda _: spans)
        monkeypatch.setattr(learn, "make_spans", lambda _: spans)
        learn.learn(small_config(tmp_path, model, seed=3), 1, as_json=True)
        (whole,) = ended("invoke_workflow learn")
        stages = {each.name.removeprefix("stage "): each for each in ended("stage")}
        assert {"start", "recall", "practise", "absorb", "distil", "promote"} <= set(stages)
        assert {each.parent.span_id for each in stages.values()} == {whole.context.span_id}
        stages_of_episodes = {each.parent.span_id for each in ended("invoke_agent")}
        assert stages["practise"].context.span_id in stages_of_episodes
