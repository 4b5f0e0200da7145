"""A graph of somebody else searches the bank, and what it puts becomes a candidate."""

import asyncio
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agent.guests.bank_store import BankStore, ProposalError
from bank_builders import a_demonstration, a_lesson, a_skill
from environments.episode import Ending, Split, Task
from memory.bank.bank import Bank
from memory.knowledge.items import HeldOutError, Lesson, Skill, Standing
from memory.store.store import Store
from store_worker import MORNING, an_episode

ADVICE = {
    "environment": "household",
    "when": "the sink is full",
    "fault": "nothing more fits",
    "why": "it is small",
    "instead": "empty the sink",
    "unless": "",
    "critique": "",
    "episodes": ["e1"],
}


@pytest.fixture
def bank(tmp_path):
    exam = Task(id="h/9", environment="household", split=Split.DEV, kind="cool", goal="cool")
    with Store.open(tmp_path / "db") as episodes:
        episodes.add(an_episode("e1", ending=Ending.FAILED))
        episodes.add(an_episode("exam", task=exam))
        with Bank.open(tmp_path / "db") as bank:
            bank.episodes = episodes
            yield bank


@pytest.fixture
def store(bank):
    return BankStore(
        bank, bank.episodes, alike=lambda _: (), clock=lambda: MORNING, proposer="their-graph"
    )


def activated(bank, *items):
    added = bank.add_all(items)
    return [bank.set_standing(i.id, Standing.ACTIVE, "proved", MORNING) for i in added]


def test_a_compiled_graph_finds_what_is_active_and_proposes_a_candidate(bank, store):
    lesson, _ = activated(bank, a_lesson(), a_skill())

    class State(TypedDict):
        goal: str
        told: str

    async def act(state: State, runtime: Runtime) -> dict[str, str]:
        found = await runtime.store.asearch(("active", "lesson"), query=state["goal"])
        await runtime.store.aput(("candidate", "lesson", "clean"), "mine", ADVICE)
        return {"told": found[0].value["instead"]}

    graph = StateGraph(State).add_node("act", act).add_edge(START, "act").add_edge("act", END)
    ended = asyncio.run(graph.compile(store=store).ainvoke({"goal": "the closed fridge"}))
    assert ended["told"] == lesson.instead
    (proposed,) = bank.items(standing=Standing.CANDIDATE)
    assert (proposed.kind, proposed.instead) == ("clean", ADVICE["instead"])
    assert proposed.source.critic == "their-graph"
    assert bank.history(proposed.id)[0].by == "their-graph"
    assert store.get(("candidate", "lesson", "clean"), "mine").value["when"] == ADVICE["when"]


def test_namespaces_say_standing_type_and_kind(bank, store):
    activated(bank, a_lesson(), a_skill())
    bank.add(a_demonstration())
    assert store.list_namespaces() == [
        ("active", "lesson", "cool"),
        ("active", "skill", "general"),
        ("candidate", "demonstration", "cool"),
    ]
    assert store.list_namespaces(prefix=("active",), max_depth=1) == [("active",)]
    assert store.list_namespaces(suffix=("general",)) == [("active", "skill", "general")]
    assert store.list_namespaces(limit=1, offset=1) == [("active", "skill", "general")]


def test_any_beginning_of_a_namespace_is_searched(bank, store):
    lesson, skill = activated(bank, a_lesson(), a_skill())
    shown = bank.add(a_demonstration())
    found = {
        prefix: [each.key for each in store.search(prefix)]
        for prefix in [(), ("active",), ("active", "skill"), ("active", "lesson", "heat")]
    }
    assert found == {
        (): [lesson.id, skill.id, shown.id],
        ("active",): [lesson.id, skill.id],
        ("active", "skill"): [skill.id],
        ("active", "lesson", "heat"): [],
    }


def test_filters_and_pages_narrow_a_search(bank, store):
    activated(bank, *(a_lesson(when=f"the fridge is closed {n}", kind=f"k{n}") for n in range(5)))
    assert len(store.search(("active",), query="fridge", limit=10)) == 5
    assert len(store.search(("active",), query="fridge", limit=2, offset=4)) == 1
    (found,) = store.search(("active",), query="fridge", filter={"kind": "k3"})
    assert found.value["kind"] == "k3"
    assert len(store.search(("active",), filter={"kind": {"$ne": "k3"}})) == 4


def test_an_item_is_got_where_it_stands_and_nowhere_else(bank, store):
    (lesson,) = activated(bank, a_lesson())
    assert store.get(("active", "lesson", "cool"), lesson.id).value["instead"] == lesson.instead
    assert store.get(("candidate", "lesson", "cool"), lesson.id) is None
    assert store.get(("active", "lesson", "cool"), "L99") is None


def test_what_is_put_again_is_revised_and_what_is_deleted_retires(bank, store):
    where = ("candidate", "lesson", "general")
    store.put(where, "mine", ADVICE)
    store.put(where, "mine", {**ADVICE, "instead": "ask first"})
    (item,) = bank.items()
    assert isinstance(item, Lesson)
    assert (item.version, item.kind, item.instead) == (2, "", "ask first")
    store.delete(where, "mine")
    assert bank.get(item.id).standing is Standing.RETIRED


def test_a_skill_is_proposed_like_a_lesson(bank, store):
    skill = {
        "environment": "household",
        "name": "empty-the-sink",
        "purpose": "Empties a sink.",
        "parameters": [],
        "precondition": "",
        "procedure": ["look"],
        "demonstrations": [],
        "episodes": ["e1"],
    }
    store.put(("candidate", "skill", "general"), "s", skill)
    (item,) = bank.items()
    assert isinstance(item, Skill)
    assert item.procedure == ("look",)


@pytest.mark.parametrize(
    ("namespace", "value", "said"),
    [
        (("active", "lesson"), ADVICE, "put a proposal into"),
        (("candidate", "poem"), ADVICE, "put a proposal into"),
        (("candidate", "lesson"), {**ADVICE, "episodes": []}, "source episodes"),
        (("candidate", "lesson"), {**ADVICE, "when": 3}, "no lesson: when"),
        (("candidate", "lesson"), {"episodes": ["e1"]}, "no lesson: environment"),
    ],
)
def test_what_is_no_memory_is_refused_in_one_line(bank, store, namespace, value, said):
    with pytest.raises(ProposalError, match=said):
        store.put(namespace, "mine", value)
    assert not bank.items()


def test_nothing_is_proposed_from_a_task_of_the_exam(bank, store):
    with pytest.raises(HeldOutError):
        store.put(("candidate", "lesson"), "mine", {**ADVICE, "episodes": ["exam"]})
    assert not bank.items()
