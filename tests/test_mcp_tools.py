import json
import sys
import threading
from pathlib import Path

import pytest
from mcp.server import MCPServer

from environments.bridges.mcp_session import ServerError, Session
from environments.bridges.mcp_tools import Attempt, Call, Entry, McpTools
from environments.check import check_environment
from environments.episode import Ending, Split
from environments.errors import UserError
from environments.registry import open_environment
from shop import SERVER, bought, shop

REWARD = """
def bought(attempt):
    return float(attempt.task.goal.split()[1] in attempt.ask("read"))
"""

TASKS = [
    {"goal": "buy milk", "gold": ['add {"thing": "milk"}', "submit"], "split": "train"},
    {"goal": "buy bread", "kind": "baker", "split": "dev"},
]


@pytest.fixture(scope="module")
def world():
    return McpTools(
        shop, [Entry(**{**each, "split": Split(each["split"])}) for each in TASKS], bought
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a directory with a server, tasks and a reward, where we are."""
    (tmp_path / "shop.py").write_text(f"{SERVER}\nserver.run()\n")
    (tmp_path / "reward.py").write_text(REWARD)
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, TASKS)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tools_of_a_server_keep_the_contract(world):
    assert check_environment(world) == ()


def test_the_rules_name_each_tool_with_its_arguments(world):
    assert world.instructions.startswith("A shopping list.\n\n")
    assert 'add {"thing": string, "count": integer (optional)}: Put a thing on the list.\n' in (
        world.instructions
    )
    assert 'such as\nadd {"thing": "..."}\n' in world.instructions
    assert world.instructions.endswith("\nread: Read the list.\nburn")


def test_plays_do_not_see_what_others_left(world):
    plays = [world.start(world.task("buy milk")) for _ in range(2)]
    assert plays[0].step('add {"thing": "milk"}').text == "1 on the list"
    assert plays[1].step("read").text == ""
    assert [play.step("submit").ending for play in plays] == [Ending.SOLVED, Ending.FAILED]
    for play in plays:
        play.close()


def test_the_reward_function_is_told_every_call_and_the_answer():
    told = []
    world = McpTools(shop, [Entry("buy tea")], lambda attempt: told.append(attempt) or 0.5)
    play = world.start(world.task("buy tea"))
    for action in ('add {"thing": "tea", "count": 2}', "add {}", "read", "submit two of them"):
        play.step(action)
    attempt: Attempt = told[0]
    assert [each.tool for each in attempt.calls] == ["add", "add", "read"]
    assert attempt.calls[0] == Call("add", {"thing": "tea", "count": 2}, "1 on the list", False)
    assert attempt.calls[1].failed
    assert attempt.answer == "two of them"
    assert (play.observation.ending, play.observation.reward) == (Ending.FAILED, 0.5)
    play.close()


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("sell {}", "There is no tool 'sell'; there are: add, burn, read."),
        ("add milk", "The arguments of add have to be one JSON object."),
        ("add [1]", "The arguments of add have to be one JSON object."),
        ("add {}", "Field required"),
    ],
)
def test_a_call_that_is_wrong_is_answered_and_changes_nothing(world, action, says):
    play = world.start(world.task("buy milk"))
    assert says in play.step(action).text
    assert play.step("read").text == ""
    play.close()


def test_no_thread_outlives_a_world_and_its_plays():
    before = set(threading.enumerate())
    world = McpTools(shop, [Entry("buy tea")], bought)
    plays = [world.start(world.task("buy tea")) for _ in range(3)]
    assert len(set(threading.enumerate()) - before) >= 3
    plays[0].close()
    del plays  # two were forgotten
    assert set(threading.enumerate()) - before == set()


def children():
    """Return the processes that we started and that are still there."""
    lists = Path("/proc/self/task").glob("*/children")
    return {pid for each in lists for pid in each.read_text().split()}


@pytest.mark.usefixtures("place")
def test_a_server_that_settings_start_is_played_ended_and_missed_when_it_dies():
    before = children()
    world = open_environment(
        "mcp",
        games=Path("tasks.jsonl"),
        command=[sys.executable, "shop.py"],
        reward="reward.py:bought",
        variables={"TELL": "yes"},
    )
    assert children() == before  # it was asked for its tools, and ended
    assert [each.id for each in world.tasks(Split.DEV)] == ["buy bread"]
    play = world.start(world.tasks(Split.TRAIN)[0])
    assert play.step('add {"thing": "milk"}').text == "1 on the list"
    pid = play.step("read").text.rpartition(" ")[2].rstrip(")")
    assert pid in children() - before
    with pytest.raises(ServerError) as error:
        play.step("burn")
    assert str(error.value) == (
        f"the MCP server '{sys.executable} shop.py' does not answer (Connection closed); start it, "
        "or mend it"
    )
    play.close()
    assert children() == before


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"command": ["no-such-command"]}, "'no-such-command' does not answer (.*No such file"),
        ({"command": [sys.executable, "-c", "import no_such"]}, "No module named 'no_such'"),
        ({"url": "http://127.0.0.1:9/mcp"}, "All connection attempts failed"),
        ({}, "started by `command` or found at `url`; set one"),
        ({"url": "x", "reward": "reward.py:sold"}, "no reward function 'reward.py:sold'"),
        ({"url": "x", "reward": "reward"}, "wanted FILE.py:FUNCTION"),
        ({"url": "x", "games": Path("none.jsonl")}, "cannot read tasks from 'none.jsonl'"),
    ],
)
def test_what_makes_no_environment_is_told_in_a_line(settings, says):
    given = {"games": Path("tasks.jsonl"), "reward": "reward.py:bought", **settings}
    with pytest.raises(UserError, match=says.replace("(", r"\(")) as error:
        open_environment("mcp", **given)
    assert "\n" not in str(error.value)


def test_a_line_that_is_no_task_is_named(place):
    (place / "tasks.jsonl").write_text('{"goal": "buy milk"}\n{"goal": "x", "gaol": 1}\n')
    with pytest.raises(UserError, match=r"tasks.jsonl, line 2: gaol: unexpected keyword"):
        open_environment("mcp", games=Path("tasks.jsonl"), reward="reward.py:bought", url="x")


def test_a_server_without_tools_is_refused():
    with pytest.raises(UserError, match="offers no tools"):
        McpTools(lambda: MCPServer(name="empty"), [Entry("do")], bought)


def test_a_session_that_took_too_long_says_so_and_goes_on():
    server = MCPServer(name="slow")

    @server.tool()
    async def wait() -> str:
        import asyncio

        await asyncio.sleep(5)
        return "done"

    @server.tool()
    def hello() -> str:
        return "hello"

    session = Session(server, 0.2)
    assert "imed out after 0.2s" in session.call("wait", {}).text
    assert session.call("hello", {}).text == "hello"
    session.close()
