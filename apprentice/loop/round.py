"""One round of learning as a LangGraph graph; what a round is can be read here.

What a stage came to is saved before the next one begins, in the graph's checkpoint and in the
database: the first is how a killed round goes on, the second is what remains of it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from apprentice.build import now
from apprentice.loop.admission import prove
from apprentice.loop.judging import examine, promote, settle
from apprentice.loop.reports import Record, StageReport, record_of, to_json
from apprentice.loop.site import Site
from apprentice.loop.stages import absorb, distil, practise, recall, start

Stage: TypeAlias = Callable[[Site, Record], StageReport]
Within: TypeAlias = Callable[[str], AbstractContextManager[object]]

STAGES: dict[str, Stage] = {
    "settle": settle,  # what was left undecided, a few pairs further
    "start": start,  # who acts now, and who learns
    "recall": recall,  # what is practised, and what memory says before it
    "practise": practise,  # attempts at train tasks
    "absorb": absorb,  # attempts into memories
    "prove": prove,  # memories, a few pairs further
    "distil": distil,  # attempts into weights
    "examine": examine,  # the candidate against who acts, on dev tasks
    "promote": promote,  # or not
}


def _joined(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    return old | new


class State(TypedDict):
    reports: Annotated[dict[str, str], _joined]  # JSON, by stage


class Node(Protocol):
    def __call__(self, state: State) -> dict[str, Any]: ...


RoundGraph: TypeAlias = CompiledStateGraph[State, None, State, State]


def run_round(
    site: Site,
    checkpoints: Path,
    say: Callable[[StageReport], None],
    within: Within = nullcontext,
) -> Record:
    """Carry out a round, or what is left of it, and return its record.

    Args:
        site: where.
        checkpoints: the file that is there while the round is under way.
        say: told what each stage came to.
        within: what each stage is carried out in, by its name.
    """
    with SqliteSaver.from_conn_string(str(checkpoints)) as saver:
        graph = _compiled(site, say, within, saver)
        config: RunnableConfig = {"configurable": {"thread_id": site.round.id}}
        begun = graph.get_state(config).created_at is not None
        state = graph.invoke(None if begun else {"reports": {}}, config, durability="sync")
    site.rounds.finish(site.round.id, now())
    for leftover in checkpoints.parent.glob(f"{checkpoints.name}*"):  # -wal and -shm too
        leftover.unlink()
    return record_of(state["reports"])


def _compiled(
    site: Site, say: Callable[[StageReport], None], within: Within, saver: SqliteSaver
) -> RoundGraph:
    graph = StateGraph(State)
    for name, stage in STAGES.items():
        graph.add_node(name, _node(name, stage, site, say, within))
    graph.add_edge(START, "settle")
    graph.add_edge("settle", "start")
    graph.add_edge("start", "recall")
    graph.add_edge("recall", "practise")
    graph.add_edge("practise", "absorb")
    graph.add_edge("absorb", "prove")
    graph.add_edge("prove", "distil")
    graph.add_conditional_edges("distil", _after_distil, ["examine", "promote"])
    graph.add_edge("examine", "promote")
    graph.add_edge("promote", END)
    return graph.compile(checkpointer=saver)


def _node(
    name: str, stage: Stage, site: Site, say: Callable[[StageReport], None], within: Within
) -> Node:
    def carry_out(state: State) -> dict[str, Any]:
        kept = site.rounds.reports(site.round.id).get(name)
        if kept is None:  # else it was killed between the two places in which a stage is saved
            with within(name):
                report = stage(site, record_of(state["reports"]))
            kept = to_json(report)
            site.rounds.keep(site.round.id, name, kept, now())
            say(report)
        return {"reports": {name: kept}}

    return carry_out


def _after_distil(state: State) -> str:
    distilled = record_of(state["reports"]).distil
    assert distilled is not None
    return "examine" if distilled.candidate is not None else "promote"
