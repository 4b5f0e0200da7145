"""What a small hand-made set says about likeness as a sign of relevance, with the real embedder."""

import numpy as np
import pytest

from bank_builders import a_demonstration, a_lesson
from index_worker import a_bank, me
from memory.index.embed import Embedder, embed_missing
from memory.index.index import Index, Which
from memory.knowledge.items import Demonstration, Standing
from memory.recall.briefing import small
from memory.recall.candidates import Shelf
from memory.recall.recall import Lot, Space, Taste, recall
from store_worker import MORNING

GOALS = {
    "simple": "put some pillow on bed.",
    "clean": "put a clean mug in coffeemachine.",
    "heat": "heat some egg and put it in garbagecan.",
    "cool": "cool some tomato and put it in microwave.",
    "light": "look at book under the desklamp.",
    "two": "put two soapbar in cabinet.",
}
GENERAL = (
    (
        "the thing to find is in none of the places looked into so far",
        "the same places are searched again",
        "go on to a place that was not visited yet, and open it if it is closed",
    ),
    (
        "a receptacle is closed",
        "what it holds is not seen, and the agent goes on",
        "open it before deciding that the thing is not there",
    ),
    (
        "an action changed nothing",
        "it is repeated",
        "do something else; the world answers the same to the same",
    ),
)
OWN = {
    "clean": ("a thing has to be clean", "it is put away dirty", "go to a sinkbasin and clean it"),
    "heat": (
        "a thing has to be hot",
        "the agent waits for it to become warm",
        "go to the microwave and heat the thing with it",
    ),
    "cool": (
        "a thing has to be cold",
        "it is put into the fridge and left",
        "go to the fridge and cool the thing with it",
    ),
    "light": ("a thing is to be seen by a lamp", "the lamp stays off", "use the lamp at the thing"),
}
STRANGE = (
    ("a proof gets long", "the base case is forgotten", "check the base case first"),
    ("stocks fall", "investors sell everything", "wait for a week"),
    ("a test of a function fails", "it is rewritten from nothing", "read the assertion that fails"),
    ("the user asks for a refund", "the order number is missing", "ask for the order number"),
    ("the boat drifts", "the anchor is not set", "set the anchor against the wind"),
)


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


def cosines(embedder, texts):
    queries_QD = np.stack([embedder.query(goal) for goal in GOALS.values()])
    return queries_QD @ embedder.items(texts).T


@pytest.mark.parametrize("part", ["all of it", "when it applies", "what to do"])
def test_likeness_to_a_goal_does_not_tell_general_advice_from_strange(embedder, part):
    """So no floor can be right for it, and no other part to embed makes one right."""
    cut = {"all of it": "\n".join, "when it applies": lambda t: t[0], "what to do": lambda t: t[2]}
    general, strange = (cosines(embedder, [*map(cut[part], s)]) for s in (GENERAL, STRANGE))
    assert general.max() < 0.4
    assert np.median(general) < np.quantile(strange, 0.95)


def test_advice_is_recalled_for_what_it_is_meant_for_and_demonstrations_for_their_likeness(
    tmp_path, embedder
):
    with a_bank(tmp_path / "db") as bank:
        lessons = [lesson(kind, said) for kind, said in OWN.items()]
        general = [lesson("", said) for said in GENERAL[:2]]
        shown = [a_demonstration(kind=kind, goal=goal) for kind, goal in GOALS.items()]
        for item in bank.add_all([*lessons, *general, *shown]):
            bank.set_standing(item.id, Standing.ACTIVE, "proved", MORNING)
        embed_missing(bank, embedder)
        with Index.embedded(bank, Which(model=embedder.name), tmp_path / "index", me()) as index:
            shelf = Shelf(bank=bank, index=index, embedder=embedder, environment="household")
            for kind, goal in GOALS.items():
                items = recalled(shelf, kind, goal)
                advice = [item for item in items if not isinstance(item, Demonstration)]
                assert advice
                assert any(isinstance(item, Demonstration) and item.goal == goal for item in items)
                assert kind not in OWN or kind in {item.kind for item in advice}


def lesson(kind, said):
    when, fault, instead = said
    return a_lesson(kind=kind, when=when, fault=fault, instead=instead)


def recalled(shelf, kind, goal):
    space = Space(render=small, count_tokens=lambda text: len(text.split()), budget=300)
    found = recall(
        kind,
        shelf.near(kind, goal, {}),
        strategy="worth",
        taste=Taste(),
        space=space,
        lot=Lot(share=0.0, seed=1),
    )
    return [choice.item for choice in found.shown]
