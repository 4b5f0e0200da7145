import asyncio
import json
from contextlib import contextmanager

import httpx2
import openai
import pytest

from agent.scripted import Scripted
from apprentice.serve.answering import Local, Upstream
from apprentice.serve.app import Counter, create_app
from apprentice.serve.listening import behind_token
from apprentice.serve.sessions import Place, Sessions
from bench.windows import serving as in_thread
from distill.engine.engine import LocalPolicy, LocalSettings
from endpoint import refuses, says, sends_raw, serving
from environments.episode import Ending
from environments.transcript import Origin
from learning import tiny_model, tokenizer
from memory.store.store import Store
from reminding import Reminding
from store_worker import MORNING

ASK = [{"role": "system", "content": "You walk ."}, {"role": "user", "content": "There is a door"}]


@contextmanager
def listening(answers, folder, *, reminder=None, token=""):
    """Serve on a free port with a store in this folder; yield the address and the store."""
    with Store.open(folder / "store.db") as store:
        place = Place(
            store=store,
            reminder=reminder,
            environment="household",
            policy=answers.name,
            temperature=None,
            clock=lambda: MORNING,
        )
        app = behind_token(create_app(Counter(answers, Sessions(place), lambda: MORNING)), token)
        with in_thread(app) as address:
            yield f"{address}/v1", store


def client(url, key="EMPTY"):
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def marked(episode, **more):
    return {"metadata": {"episode": episode, **more}}


@pytest.fixture
def scripted(tmp_path):
    with listening(Local(Scripted(["go left", "take gold"])), tmp_path) as (url, store):
        yield url, store


def test_the_openai_client_chats_and_streams(scripted):
    url, _ = scripted
    with client(url) as chat:
        assert {each.id for each in chat.models.list()} == {"scripted", "apprentice"}
        answer = chat.chat.completions.create(model="apprentice", messages=ASK)
        assert answer.choices[0].message.content == "go left"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.total_tokens == 0  # a script reads no tokens
        stream = chat.chat.completions.create(
            model="scripted", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        parts = list(stream)
        assert "".join(p.choices[0].delta.content or "" for p in parts if p.choices) == "go left"
        assert parts[-1].usage.total_tokens == 0


def test_errors_have_openai_s_shape(scripted):
    url, _ = scripted
    with client(url) as chat:
        create = chat.chat.completions.create
        with pytest.raises(openai.NotFoundError) as unknown:
            create(model="gpt", messages=ASK)
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError):
            create(model="apprentice", messages=[])
        with pytest.raises(openai.BadRequestError) as many:
            create(model="apprentice", messages=ASK, n=2)
        assert "1 answer" in many.value.message
    for path, body in (("/chat/completions", b"{"), ("/chat/completions", b"[]"), ("/no", b"{}")):
        refused = httpx2.post(url + path, content=body)
        assert refused.status_code in (400, 404)
        assert set(refused.json()["error"]) == {"message", "type", "param", "code"}


def test_a_marked_episode_is_kept_with_the_outcome_that_is_reported(scripted):
    url, store = scripted
    with client(url) as chat:
        talk = list(ASK)
        for seen in ("It is here", "You have it"):
            written = chat.chat.completions.create(
                model="apprentice", messages=talk, extra_body=marked("mine", kind="walk")
            )
            said = written.choices[0].message.content
            talk += [{"role": "assistant", "content": said}, {"role": "user", "content": seen}]
    told = httpx2.post(
        f"{url}/outcomes", json={"episode": "mine", "solved": True, "note": "You have it"}
    )
    assert told.json() == {"episode": "mine", "ending": "solved", "steps": 2, "stored": True}
    kept = store.get("mine")
    assert kept.actions == ("go left", "take gold")
    assert [step.observation for step in kept.steps] == ["There is a door", "It is here"]
    assert (kept.ending, kept.reward, kept.closing) == (Ending.SOLVED, 1.0, "You have it")
    assert (kept.task.kind, kept.task.goal) == ("walk", "There is a door")
    again = httpx2.post(f"{url}/outcomes", json={"episode": "mine", "solved": True})
    assert (again.status_code, again.json()["error"]["code"]) == (404, "episode_not_found")


def test_what_is_not_marked_is_not_kept(scripted):
    url, store = scripted
    with client(url) as chat:
        chat.chat.completions.create(model="apprentice", messages=ASK)
    assert store.count() == 0


def test_an_episode_that_nobody_ends_is_kept_when_the_server_stops(tmp_path):
    with listening(Local(Scripted(["go left"])), tmp_path) as (url, _), client(url) as chat:
        chat.chat.completions.create(model="apprentice", messages=ASK, extra_body=marked("open"))
    with Store.open(tmp_path / "store.db") as store:
        assert store.get("open").ending is Ending.TRUNCATED


def test_memory_speaks_before_the_question_and_is_noted_with_the_episode(tmp_path):
    seen = []

    def write(turn):
        seen.append([message.origin for message in turn.messages])
        return "go left"

    memory = Reminding("Doors open to the left.")
    with listening(Local(Scripted(write)), tmp_path, reminder=memory) as (url, store):
        with client(url) as chat:
            create = chat.chat.completions.create
            create(model="apprentice", messages=ASK)
            create(model="apprentice", messages=ASK, extra_body=marked("mine"))
        httpx2.post(f"{url}/outcomes", json={"episode": "mine", "solved": False})
        assert seen == [[Origin.SYSTEM, Origin.MEMORY, Origin.TASK]] * 2
        assert store.get("mine").briefing == "Doors open to the left."
    assert memory.noted == [("mine", "Doors open to the left.")]
    assert memory.splits == ["test", "train"]  # by lot something is left out of marked ones only


def test_a_policy_with_a_list_of_actions_takes_one_of_them(tmp_path):
    policy = LocalPolicy("tiny", tiny_model(), tokenizer(), LocalSettings(temperature=0.0))
    actions = ["go left", "take iron ore"]
    with listening(Local(policy), tmp_path) as (url, store), client(url) as chat:
        answer = chat.chat.completions.create(
            model="tiny",
            messages=ASK,
            logprobs=True,
            extra_body={"admissible": actions, **marked("m")},
        )
        (choice,) = answer.choices
        assert choice.message.content in actions
        assert (
            "".join(each.token for each in choice.logprobs.content)
            .replace(" ", "")
            .startswith(choice.message.content.replace(" ", ""))
        )
        assert all(each.logprob <= 0 for each in choice.logprobs.content)
        assert answer.usage.completion_tokens == len(choice.logprobs.content)
        httpx2.post(f"{url}/outcomes", json={"episode": "m", "solved": True})
        kept = store.get("m").steps[0].completion
        assert kept.logprobs == tuple(each.logprob for each in choice.logprobs.content)
    asyncio.run(policy.close())


def test_64_requests_at_once_are_decoded_together_and_none_is_lost(tmp_path):
    settings = LocalSettings(lanes=16, temperature=1.0, max_tokens=6)
    policy = LocalPolicy("tiny", tiny_model(), tokenizer(), settings)
    batches = []
    feed = policy._cache.feed
    policy._cache.feed = lambda feeds: (batches.append(len(feeds)), feed(feeds))[1]

    async def ask_all(url):
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as chat:
            one = chat.chat.completions.create
            return await asyncio.gather(
                *(
                    one(model="tiny", messages=ASK, seed=n, extra_body=marked(f"e{n}"))
                    for n in range(64)
                )
            )

    with listening(Local(policy), tmp_path) as (url, store):
        answers = asyncio.run(ask_all(url))
        assert len({answer.id for answer in answers}) == 64
        for number in range(64):
            assert httpx2.post(f"{url}/outcomes", json={"episode": f"e{number}", "solved": False})
        assert store.count() == 64
    assert max(batches) == 16
    asyncio.run(policy.close())


def test_a_proxy_briefs_records_and_passes_everything_else_on(tmp_path):
    memory = Reminding("Doors open to the left.")
    with serving(says("go right")) as there:
        upstream = Upstream(there.url, "EMPTY", 5.0)
        with listening(upstream, tmp_path, reminder=memory) as (url, store):
            with client(url) as chat:
                answer = chat.chat.completions.create(
                    model="small",
                    messages=ASK,
                    temperature=0.3,
                    tools=[{"type": "function", "function": {"name": "f"}}],
                    extra_body=marked("mine"),
                )
            assert answer.choices[0].message.content == "go right"
            httpx2.post(f"{url}/outcomes", json={"episode": "mine", "solved": True})
            kept = store.get("mine")
            assert kept.actions == ("go right",)
            assert (kept.prompt_tokens, kept.completion_tokens) == (10, 2)
        (sent,) = there.requests
    assert (sent["temperature"], sent["model"], len(sent["tools"])) == (0.3, "small", 1)
    assert "metadata" not in sent
    assert [each["content"] for each in sent["messages"]] == [
        "You walk .",
        "Doors open to the left.",
        "There is a door",
    ]


def test_a_proxy_streams_what_streams_and_reads_along(tmp_path):
    pieces = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in ("go ", "up")]
    lines = "".join(f"data: {json.dumps(each)}\n\n" for each in pieces) + "data: [DONE]\n\n"
    with (
        serving(sends_raw(lines.encode(), "text/event-stream")) as there,
        listening(Upstream(there.url, "EMPTY", 5.0), tmp_path) as (url, store),
    ):
        with client(url) as chat:
            stream = chat.chat.completions.create(
                model="small", messages=ASK, stream=True, extra_body=marked("mine")
            )
            assert "".join(part.choices[0].delta.content for part in stream) == "go up"
        httpx2.post(f"{url}/outcomes", json={"episode": "mine", "solved": True})
        assert store.get("mine").actions == ("go up",)


def test_an_upstream_s_refusal_and_absence_are_told(tmp_path):
    with serving(refuses(429, "slow down")) as there:
        answers = Upstream(there.url, "EMPTY", 5.0)
        with (
            listening(answers, tmp_path) as (url, _),
            client(url) as chat,
            pytest.raises(openai.RateLimitError),
        ):
            chat.chat.completions.create(model="small", messages=ASK)
        gone = there.url
    with listening(Upstream(gone, "EMPTY", 5.0), tmp_path) as (url, _), client(url) as chat:
        with pytest.raises(openai.InternalServerError) as absent:
            chat.chat.completions.create(model="small", messages=ASK)
        assert absent.value.code == "upstream_unreachable"


def test_where_a_key_is_needed_nobody_without_it_is_answered(tmp_path):
    with listening(Local(Scripted(["go"])), tmp_path, token="sesame") as (url, _):
        with client(url) as chat, pytest.raises(openai.AuthenticationError):
            chat.models.list()
        with client(url, "sesame") as chat:
            assert chat.models.list().data


def test_langchain_talks_to_it(scripted):
    from langchain_openai import ChatOpenAI

    url, _ = scripted
    model = ChatOpenAI(base_url=url, api_key="EMPTY", model="apprentice", max_retries=0)
    assert model.invoke([("user", "There is a door")]).content == "go left"
