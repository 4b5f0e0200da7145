"""A chat endpoint over a real socket: what is sent, what is read, and how it fails."""

import asyncio
import json
import socket
import subprocess
import sys

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, NonNegativeInt

from agent.attempt import Limits
from agent.endpoints.chat import ChatPolicy, as_chat, reach
from agent.endpoints.endpoint import Endpoint, EndpointError, ReplyError
from endpoint import breaks_off, hangs, refuses, says, sends, sends_raw, serving
from environments.episode import Ending
from environments.errors import ContextFullError, UserError
from environments.transcript import Message, Origin, Turn, opening
from practicing import attempts, gather

TURN = Turn(
    messages=opening("Rules.", "Be bold.", "You see a desk."),
    admissible=("go to desk 1", "look"),
    seed=2**40 + 3,
    episode="e",
)


class Critique(BaseModel):
    step: NonNegativeInt
    advice: str


VALID = '{"step": 2, "advice": "open the drawer first"}'
ASKED = (Message(Origin.SYSTEM, "You are a critic."), Message(Origin.TASK, "What went wrong?"))


def policy_for(url, **options):
    return ChatPolicy(
        Endpoint(**{"model": "small", "base_url": url, "retries": 0, "timeout_s": 5, **options})
    )


def using(url, call, **options):
    """Return what `call(policy)` gives, and close the policy whatever happens."""

    async def used():
        policy = policy_for(url, **options)
        try:
            return await call(policy)
        finally:
            await policy.close()

    return asyncio.run(used())


def completed(*behaviors, turn=TURN, **options):
    """Return the completion of a turn, and the requests that the server saw."""
    with serving(*behaviors) as server:
        completion = using(server.url, lambda policy: policy.complete(turn), **options)
        return completion, server.requests


def failure(*behaviors, **options):
    with pytest.raises(EndpointError) as caught:
        completed(*behaviors, **options)
    return caught.value


def asked(*behaviors, times=1, **options):
    """Return the last reply to a question asked some times, and the requests."""

    async def ask(policy):
        for _ in range(times):
            reply = await policy.ask(ASKED, Critique, seed=7)
        return reply

    with serving(*behaviors) as server:
        return using(server.url, ask, **options), server.requests


# what is sent and read


def test_a_completion_is_read_with_the_tokens_it_cost():
    completion, _ = completed(says("look"))
    assert completion.text == "look"
    assert (completion.prompt_tokens, completion.completion_tokens) == (10, 2)
    assert (completion.token_ids, completion.logprobs) == ((), ())


def test_the_request_names_roles_and_lists_the_actions_in_the_last_message_alone():
    _, (request,) = completed(says("look"), temperature=0.7, max_tokens=99)
    assert request == {
        "model": "small",
        "seed": 3,
        "temperature": 0.7,
        "max_tokens": 99,
        "messages": [
            {"role": "system", "content": "Rules."},
            {
                "role": "user",
                "content": "Be bold.\n\nYou see a desk.\n\n"
                "Choose one of these actions and answer with it alone:\n1. go to desk 1\n2. look",
            },
        ],
    }


def test_a_policy_that_is_told_no_temperature_leaves_it_to_the_server():
    _, (request,) = completed(says("look"))
    assert "temperature" not in request
    assert "logprobs" not in request


def test_no_role_speaks_twice_in_a_row():
    said = [
        Message(Origin.SYSTEM, "S"),
        Message(Origin.MEMORY, "M"),
        Message(Origin.TASK, "T"),
        Message(Origin.POLICY, "P"),
        Message(Origin.ENVIRONMENT, "E"),
        Message(Origin.CRITIQUE, "C"),
    ]
    assert as_chat(said) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "M\n\nT"},
        {"role": "assistant", "content": "P"},
        {"role": "user", "content": "E\n\nC"},
    ]


def test_openai_itself_is_told_the_length_in_its_own_word():
    openai = Endpoint(model="m", base_url="https://api.openai.com/v1")
    local = Endpoint(model="m", base_url="http://localhost:8000/v1")
    assert (openai.length_option, local.length_option) == ("max_completion_tokens", "max_tokens")


def test_token_ids_and_logprobs_are_recorded_where_the_server_tells_them():
    told = {"token_ids": [5, 6], "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]}}
    completion, (request,) = completed(says("look", **told), logprobs=True)
    assert (completion.token_ids, completion.logprobs) == ((5, 6), (-0.5, -1.5))
    assert (request["logprobs"], request["return_token_ids"]) == (True, True)


def test_a_server_that_tells_no_token_ids_is_named_rather_than_training_on_nothing():
    assert "0 token ids" in str(failure(says("look"), logprobs=True))


@pytest.mark.parametrize("text", [None, ""])
def test_silence_is_a_completion_without_words(text):
    completion, _ = completed(says(text))
    assert completion.text == ""


def test_a_key_is_not_shown_when_its_endpoint_is_printed():
    assert "hush" not in repr(Endpoint(model="m", base_url="http://x", api_key="hush"))


def test_importing_the_policy_does_not_import_openai():
    code = "import sys, agent.endpoints.chat; print('openai' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# how it fails


@pytest.mark.parametrize(
    ("behavior", "status", "words"),
    [
        (refuses(401, "Incorrect API key"), 401, "the key (Incorrect API key); check OPENAI"),
        (refuses(403, "not for you"), 403, "check OPENAI_API_KEY"),
        (refuses(404, "model `small` not found"), 404, "knows no model 'small'"),
        (refuses(400, "seed must be positive"), 400, "rejected the request (seed must be"),
        (refuses(429, "too many requests"), 429, "lower the concurrency"),
        (refuses(500, "CUDA\nout of memory"), 500, "(CUDA out of memory); look into"),
        (refuses(503, "loading"), 503, "failed at the first try"),
        (hangs, None, "took longer than 0.2 s at the first try"),
        (breaks_off, None, "gave no whole answer"),
        (sends_raw(b"<html>Welcome</html>", "text/html"), None, "Invalid JSON"),
        (sends_raw(b'{"choices": [{"mess'), None, "Invalid JSON"),
        (sends({"choices": []}), None, "choices"),
        (sends({"error": "no"}), None, "choices: Field required"),
        (sends([1, 2]), None, "set OPENAI_BASE_URL to where the API begins"),
    ],
)  # fmt: skip
def test_each_failure_is_one_line_that_says_what_to_do(behavior, status, words):
    error = failure(behavior, timeout_s=0.2 if behavior is hangs else 5)
    assert isinstance(error, UserError)
    assert isinstance(error, ConnectionError)
    assert words in str(error)
    assert str(error).startswith("http://127.0.0.1:")
    assert "\n" not in str(error)
    assert error.status == status


def test_a_prompt_that_the_model_cannot_hold_is_an_error_of_its_own():
    with pytest.raises(ContextFullError, match=r"4096 tokens\); allow fewer steps"):
        completed(refuses(400, "This model's maximum context length is 4096 tokens"))


def test_a_server_that_is_not_there_is_one_line_with_its_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(
            EndpointError, match="start the server or set OPENAI_BASE_URL"
        ) as caught:
            using(url, lambda policy: policy.complete(TURN))
    assert url in str(caught.value)


def test_a_web_page_of_an_error_is_cut_short():
    assert len(str(failure(refuses(500, "<p>oops</p>" * 500)))) < 400


@pytest.mark.parametrize(
    "trouble",
    [
        refuses(429, "slow down", Retry_After="0.01"),
        refuses(503, "loading", Retry_After="0.01"),
        refuses(408, "timeout", Retry_After="0.01"),
        refuses(409, "locked", Retry_After="0.01"),
    ],
)
def test_what_passes_is_tried_again(trouble):
    completion, requests = completed(trouble, trouble, says("look"), retries=2)
    assert completion.text == "look"
    assert len(requests) == 3


def test_a_connection_that_breaks_once_is_tried_again():
    completion, requests = completed(breaks_off, says("look"), retries=1)
    assert (completion.text, len(requests)) == ("look", 2)


def test_a_server_that_is_busy_for_ever_is_given_up_after_the_retries():
    busy = refuses(429, "slow down", Retry_After="0.01")
    with serving(busy) as server:
        with pytest.raises(EndpointError, match=r"had no room in 4 tries \(slow down\)"):
            using(server.url, lambda policy: policy.complete(TURN), retries=3)
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_does_not_pass_is_not_tried_again(status):
    with serving(refuses(status, "no")) as server:
        with pytest.raises(EndpointError):
            using(server.url, lambda policy: policy.complete(TURN), retries=3)
        assert len(server.requests) == 1


# in a practice


def played(*behaviors, number, into, saver, **options):
    async def play(policy):
        limits = Limits(steps=3)
        await gather(policy, attempts(number), into, checkpointer=saver, limits=limits)

    with serving(*behaviors) as server:
        using(server.url, play, **options)


def test_a_model_that_talks_nonsense_ends_truncated():
    episodes = []
    played(says("Hello! How can I help?"), number=2, into=episodes, saver=InMemorySaver())
    assert [each.ending for each in episodes] == [Ending.TRUNCATED] * 2
    assert {step.action for each in episodes for step in each.steps} == {None}
    assert (episodes[0].policy, episodes[0].completion_tokens) == ("openai:small", 6)


def test_an_endpoint_that_goes_down_stops_the_practice_and_its_episodes_go_on_when_it_is_back():
    saver, episodes = InMemorySaver(), []
    up = [says("look around")] * 7
    with pytest.raises(EndpointError, match="look into the server's log"):
        played(*up, refuses(500, "oops"), number=3, into=episodes, saver=saver)
    finished = {each.id for each in episodes}
    rest = [each for each in attempts(3) if each.id not in finished]

    async def play(policy):
        await gather(policy, rest, episodes, checkpointer=saver, limits=Limits(steps=3))

    with serving(says("look around")) as server:
        using(server.url, play)
        assert len(server.requests) <= 9 - 7 + 3  # no turn is paid for twice, but those under way
    assert sorted(each.id for each in episodes) == ["e00", "e01", "e02"]
    assert all(each.actions == ("look around",) * 3 for each in episodes)


# structured answers


def test_an_answer_held_to_a_schema_by_the_server_is_a_value():
    reply, (request,) = asked(says(VALID))
    assert reply == Critique(step=2, advice="open the drawer first")
    held = request["response_format"]
    assert (held["type"], held["json_schema"]["strict"]) == ("json_schema", True)
    assert held["json_schema"]["schema"]["required"] == ["step", "advice"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_schemas_is_asked_in_words_and_not_bothered_again(status):
    refusal = refuses(status, "response_format is not supported")
    reply, requests = asked(refusal, says(f"Sure!\n```json\n{VALID}\n```"), times=2)
    assert reply.step == 2
    assert ["response_format" in each for each in requests] == [True, False, False]
    assert json.dumps(Critique.model_json_schema()) in requests[1]["messages"][-1]["content"]


def test_a_wrong_answer_is_corrected_once():
    wrong = says('{"step": -1, "advice": "hm"}')
    reply, requests = asked(wrong, wrong, says(VALID))
    assert reply.advice == "open the drawer first"
    shown = requests[2]["messages"]
    assert [each["role"] for each in shown] == ["system", "user", "assistant", "user"]
    assert "step: Input should be greater than or equal to 0" in shown[-1]["content"]


def test_a_model_that_cannot_answer_in_form_is_one_line():
    with pytest.raises(ReplyError, match="wrote no Critique") as caught:
        asked(says("I would rather talk about the weather."))
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_is_down_is_not_mistaken_for_one_without_schemas():
    with pytest.raises(EndpointError, match="look into the server's log"):
        asked(refuses(500, "oops"))


# is it there?


def test_a_model_that_is_served_is_found():
    with serving(sends({"data": [{"id": "small"}, {"id": "large"}]})) as server:
        assert reach(Endpoint(model="small", base_url=server.url)) == f"{server.url} serves small"


def test_a_model_that_is_not_served_is_named_beside_those_that_are():
    others = pytest.raises(EndpointError, match="no model 'small', but huge, large; name one")
    with serving(sends({"data": [{"id": "large"}, {"id": "huge"}]})) as server, others:
        reach(Endpoint(model="small", base_url=server.url))
