import asyncio
import re
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from agent.guests.guest import GuestError, GuestPolicy, load_guest
from apprentice.lend import lent
from apprentice.settings.config import load
from command import apprentice, one_line
from environments.episode import Ending
from environments.transcript import Message, Origin, Turn
from memory.store.store import Store

MODULE = '''
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

def act(state):
    """Take the first action that is offered."""
    offered = state["messages"][-1].content.split("\\n1. ")[1].splitlines()[0]
    return {"messages": [AIMessage(offered)]}

built = StateGraph(MessagesState)
built.add_node("act", act)
built.add_edge(START, "act")
built.add_edge("act", END)
graph = built.compile()
number = 7
'''


def answering(write):
    """Return a compiled graph that answers with what a function makes of the messages."""
    built = StateGraph(MessagesState)
    built.add_node("act", lambda state: {"messages": write(state["messages"])})
    built.add_edge(START, "act")
    built.add_edge("act", END)
    return built.compile()


def a_turn(*admissible):
    messages = (
        Message(Origin.SYSTEM, "You walk."),
        Message(Origin.MEMORY, "Doors open to the left."),
        Message(Origin.TASK, "There is a door."),
    )
    return Turn(messages=messages, admissible=admissible, seed=0, episode="e1")


def test_a_graph_acts_on_the_transcript_with_what_memory_said():
    read = []

    def write(messages):
        read.extend(messages)
        usage = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
        return [AIMessage("go left", usage_metadata=usage)]

    policy = GuestPolicy("mine", answering(write))
    written = asyncio.run(policy.complete(a_turn("go left", "wait")))
    assert (written.text, written.prompt_tokens, written.completion_tokens) == ("go left", 9, 2)
    assert [message.type for message in read] == ["system", "human"]
    assert "Doors open to the left.\n\nThere is a door." in read[1].content
    assert "1. go left\n2. wait" in read[1].content


def test_a_graph_that_says_nothing_of_its_own_is_told_in_one_line():
    silent = GuestPolicy("mine", answering(lambda _: [HumanMessage("hm")]))
    with pytest.raises(GuestError, match="needs `messages`"):
        asyncio.run(silent.complete(a_turn()))


def test_a_user_s_own_graph_practises_from_the_command_line(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    flags = ["--episodes", 2, "--steps", 3, "--memory", "off"]
    done = apprentice("run", "--graph", "mine:graph", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path / ".apprentice" / "apprentice.sqlite") as store:
        lived = list(store.episodes())
    assert {episode.policy for episode in lived} == {"graph:mine:graph"}
    assert all(step.action == step.admissible[0] for each in lived for step in each.steps)


def test_what_is_no_graph_is_told_in_one_line(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    said = one_line(apprentice("run", "--graph", "mine:number", cwd=tmp_path))
    assert "'mine:number' is a int; give a compiled graph" in said
    for name in ("nowhere:graph", "mine", "json:nothing"):
        with pytest.raises(GuestError, match=re.escape("module:variable")):
            load_guest(name, tmp_path)


class OwnState(TypedDict):
    messages: Annotated[list[Any], add]
    solved: bool
    apprentice_episode: str


def test_a_graph_recalls_and_reports_with_two_nodes(tmp_path):
    flags = {"home": tmp_path, "memory": {"recall": "off"}}
    with lent(load(flags), agent="mine") as memory:
        graph = StateGraph(OwnState)
        graph.add_node("recall", memory.recall)
        graph.add_node("act", lambda _: {"messages": [AIMessage("go left")], "solved": True})
        graph.add_node("report", memory.report)
        for before, after in ((START, "recall"), ("recall", "act"), ("act", "report")):
            graph.add_edge(before, after)
        asked = {"messages": [HumanMessage("Find the door.")]}
        ended = graph.compile().invoke(asked)
    with Store.open(tmp_path / "apprentice.sqlite") as store:
        (kept,) = store.episodes()
    assert kept.id == ended["apprentice_episode"]
    assert (kept.ending, kept.policy, kept.actions) == (Ending.SOLVED, "mine", ("go left",))
    assert kept.steps[0].observation == kept.task.goal == "Find the door."
