import asyncio
import runpy
from typing import Annotated, TypedDict

import pytest
from langchain_core.language_models import FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition

from apprentice.lend import NothingRecordedError, lent
from apprentice.settings.config import load
from docs.tree import ROOT
from environments.episode import Ending
from memory.store.store import Store


@tool
def look(place: str) -> str:
    """Look at a place."""
    return f"At {place} there is a key."


LOOK = {"name": "look", "args": {"place": "the shelf"}, "id": "1"}
USAGE = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}


def someones_graph(*answers, checkpointer=None):
    """Return a graph that knows nothing of us: a model that calls tools, and the tools."""
    model = GenericFakeChatModel(messages=iter(answers))
    built = StateGraph(MessagesState)
    built.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_node("tools", ToolNode([look]))
    built.add_edge(START, "model")
    built.add_conditional_edges("model", tools_condition)
    built.add_edge("tools", "model")
    return built.compile(checkpointer=checkpointer)


@pytest.fixture
def memory(tmp_path):
    with lent(load({"home": tmp_path}), agent="mine") as opened:
        yield opened


def kept(folder):
    with Store.open(folder / "apprentice.sqlite") as store:
        return list(store.episodes())


def asked(words="Where is the key?"):
    return {"messages": [HumanMessage(words)]}


def test_a_run_of_a_graph_is_an_episode_without_a_change_of_the_graph(memory, tmp_path):
    graph = someones_graph(
        AIMessage("I look.", tool_calls=[LOOK], usage_metadata=USAGE), AIMessage("On the shelf.")
    )
    recorder = memory.recorder(kind="find")
    ended = graph.invoke(asked(), config={"callbacks": [recorder]})
    assert ended["messages"][-1].content == "On the shelf."
    episode = recorder.outcome(solved=True, note="Right.")
    assert kept(tmp_path) == [episode]
    assert (episode.ending, episode.reward, episode.closing) == (Ending.SOLVED, 1.0, "Right.")
    assert (episode.policy, episode.task.kind) == ("mine", "find")
    first, second = episode.steps
    assert first.observation == episode.task.goal == "Where is the key?"
    assert first.action == 'I look.\nlook({"place": "the shelf"})'
    assert (first.completion.prompt_tokens, first.completion.completion_tokens) == (9, 2)
    assert second.observation == "At the shelf there is a key."
    assert second.action == "On the shelf."


def test_a_graph_that_runs_under_asyncio_is_recorded_in_order(memory):
    graph = someones_graph(AIMessage("", tool_calls=[LOOK]), AIMessage("On the shelf."))
    recorder = memory.recorder()
    asyncio.run(graph.ainvoke(asked(), config={"callbacks": [recorder]}))
    episode = recorder.outcome(solved=True)
    assert episode.actions == ('look({"place": "the shelf"})', "On the shelf.")


def test_several_runs_are_one_episode_until_its_outcome_is_said(memory, tmp_path):
    graph = someones_graph(
        AIMessage("Which key?"),
        AIMessage("On the shelf."),
        AIMessage("Two."),
        checkpointer=InMemorySaver(),
    )
    recorder = memory.recorder()
    config = {"callbacks": [recorder], "configurable": {"thread_id": "1"}}
    graph.invoke(asked(), config=config)
    graph.invoke(asked("The brass one."), config=config)
    first = recorder.outcome(solved=True)
    assert [step.observation for step in first.steps] == ["Where is the key?", "The brass one."]
    graph.invoke(asked("How many are there?"), config=config)
    second = recorder.outcome(solved=False)
    assert second.actions == ("Two.",)
    assert {first.id, second.id} == {episode.id for episode in kept(tmp_path)}


class WithoutModel(TypedDict):
    messages: Annotated[list, add_messages]


def test_a_graph_that_calls_no_model_of_langchain_is_recorded_by_its_messages(memory):
    built = StateGraph(WithoutModel)
    built.add_node("act", lambda state: {"messages": [AIMessage(f"no. {len(state['messages'])}")]})
    built.add_edge(START, "act")
    built.add_edge("act", END)
    graph = built.compile(checkpointer=InMemorySaver())
    recorder = memory.recorder()
    config = {"callbacks": [recorder], "configurable": {"thread_id": "1"}}
    graph.invoke(asked("One."), config=config)
    graph.invoke(asked("Two."), config=config)
    episode = recorder.outcome(solved=True)
    assert [(step.observation, step.action) for step in episode.steps] == [
        ("One.", "no. 1"),
        ("Two.", "no. 3"),
    ]


def test_a_model_of_plain_text_is_recorded_without_any_graph(memory):
    recorder = memory.recorder()
    FakeListLLM(responses=["left"]).invoke("Where to?", config={"callbacks": [recorder]})
    episode = recorder.outcome(solved=True)
    assert [(step.observation, step.action) for step in episode.steps] == [("Where to?", "left")]


def failing_graph():
    def raises(_):
        raise ValueError("the lock is jammed")

    built = StateGraph(MessagesState)
    model = GenericFakeChatModel(messages=iter([AIMessage("I turn the key.")]))
    built.add_node("act", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_node("turn", raises)
    built.add_edge(START, "act")
    built.add_edge("act", "turn")
    return built.compile()


def test_a_run_that_an_error_ends_is_kept_as_broken_unless_its_outcome_is_said(tmp_path):
    with lent(load({"home": tmp_path})) as memory:
        left, told = memory.recorder(), memory.recorder()
        for recorder in (left, told):
            with pytest.raises(ValueError, match="jammed"):
                failing_graph().invoke(asked(), config={"callbacks": [recorder]})
        failed = told.outcome(solved=False)
        assert failed.ending is Ending.FAILED
    (broken,) = (episode for episode in kept(tmp_path) if episode.id != failed.id)
    assert (broken.ending, broken.error) == (Ending.BROKEN, "ValueError: the lock is jammed")


def test_what_is_open_is_kept_when_the_program_ends_in_an_error(tmp_path):
    def program():
        graph = someones_graph(AIMessage("On the shelf."))
        with lent(load({"home": tmp_path})) as memory:
            graph.invoke(asked(), config={"callbacks": [memory.recorder()]})
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        program()
    assert [episode.ending for episode in kept(tmp_path)] == [Ending.TRUNCATED]


def test_the_outcome_of_nothing_is_refused_in_one_line(memory, tmp_path):
    with pytest.raises(NothingRecordedError, match="nothing was recorded since the last outcome"):
        memory.recorder().outcome(solved=True)
    assert kept(tmp_path) == []


def test_the_example_in_the_documentation_runs_as_it_is(tmp_path, capsys):
    main = runpy.run_path(str(ROOT / "docs" / "examples" / "own_agent.py"))["main"]
    main(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == 'solved | look({"place": "shelf"}) | On the shelf.'
    assert told[1].startswith("failed | ")
    endings = {episode.id: episode.ending.value for episode in kept(tmp_path)}
    assert sorted(endings.values()) == ["failed", "solved", "solved"]
    assert endings[told[2].removeprefix("kept as ")] == "solved"
