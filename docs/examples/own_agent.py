"""Someone's own LangGraph agent: recorded as it is, then recalling and reporting by itself.

Nothing is asked of a network: a list of answers stands in for the model.
"""

from pathlib import Path

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from apprentice.lend import lent
from apprentice.settings.config import load


@tool
def look(place: str) -> str:
    """Say what lies at a place."""
    return "A key." if place == "shelf" else "Nothing."


def a_model(*looked_at: str) -> GenericFakeChatModel:
    """Return a model that looks at these places, and says where the key was at last."""
    calls = (
        AIMessage("", tool_calls=[{"name": "look", "args": {"place": place}, "id": str(number)}])
        for number, place in enumerate(looked_at)
    )
    return GenericFakeChatModel(messages=iter([*calls, AIMessage(f"On the {looked_at[-1]}.")]))


def an_agent(model: GenericFakeChatModel) -> StateGraph:
    """Return the agent: the model calls tools until it has an answer. It knows nothing of us."""
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([look]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph


class Remembered(MessagesState):
    """What the agent's state needs beside its own, to recall and report."""

    solved: bool
    apprentice_episode: str


def judged(state: Remembered) -> dict[str, bool]:
    """Say whether the task was solved."""
    return {"solved": state["messages"][-1].text == "On the shelf."}


def main(home: Path = Path(".apprentice")) -> None:
    """Let it try three times."""
    asked = {"messages": [("user", "Where is the key?")]}
    with lent(load({"home": home}), agent="finder") as memory:
        recorder = memory.recorder(kind="find")
        for looked_at in (["shelf"], ["table", "bed"]):
            ended = (
                an_agent(a_model(*looked_at))
                .compile()
                .invoke(asked, config={"callbacks": [recorder]})
            )
            episode = recorder.outcome(**judged(ended))
            print(episode.ending.value, *episode.actions, sep=" | ")

        graph = StateGraph(Remembered)
        graph.add_node("recall", memory.recall)
        graph.add_node("agent", an_agent(a_model("table", "shelf")).compile())
        graph.add_node("judge", judged)
        graph.add_node("report", memory.report)
        for one, next_one in zip(
            (START, "recall", "agent", "judge", "report"),
            ("recall", "agent", "judge", "report", END),
            strict=True,
        ):
            graph.add_edge(one, next_one)
        print("kept as", graph.compile().invoke(asked)["apprentice_episode"])


if __name__ == "__main__":
    main()
