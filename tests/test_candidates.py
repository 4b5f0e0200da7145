"""Which memories come into question, from a real bank with a real model of embedding."""

import pytest

from bank_builders import a_demonstration, a_lesson, a_skill
from index_worker import a_bank, me
from memory.index.embed import Embedder, embed_missing
from memory.index.index import Index, Which
from memory.knowledge.items import Standing
from memory.recall.briefing import small
from memory.recall.candidates import Shelf
from memory.recall.recall import Lot, Space, Taste, recall
from store_worker import MORNING


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture
def bank(tmp_path):
    with a_bank(tmp_path / "db") as bank:
        yield bank


def activate(bank, *items):
    added = bank.add_all(items)
    for item in added:
        bank.set_standing(item.id, Standing.ACTIVE, "proved", MORNING)
    return [item.id for item in added]


def shelf_of(bank, embedder, folder, environment="household"):
    embed_missing(bank, embedder)
    index = Index.embedded(bank, Which(model=embedder.name), folder, me())
    return Shelf(bank=bank, index=index, embedder=embedder, environment=environment), index


def found(candidates):
    return [candidate.item.id for candidate in candidates]


def test_what_fits_the_task_comes_first_with_all_that_is_known_of_it(bank, embedder, tmp_path):
    cool, lamp = activate(
        bank,
        a_lesson(),
        a_lesson(when="it is dark", fault="nothing is seen", instead="switch the desklamp on"),
    )
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    with index:
        first, second = shelf.near("look", "examine the pen with the desklamp", {lamp: 0.75})
    assert (first.item.id, first.word_rank, first.worth) == (lamp, 1, 0.75)
    assert second.item.id == cool
    assert second.worth is None
    assert first.similarity > second.similarity
    assert first.vector_D @ embedder.query("examine the pen with the desklamp") == pytest.approx(
        first.similarity, abs=1e-5
    )


def test_only_active_items_of_the_environment_are_found(bank, embedder, tmp_path):
    (active, other) = activate(bank, a_lesson(when="a"), a_lesson(when="b", environment="shop"))
    retired = activate(bank, a_lesson(when="c"))[0]
    bank.add(a_lesson(when="d"))  # a candidate, not proved
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    bank.set_standing(retired, Standing.RETIRED, "harms", MORNING)  # the index does not know yet
    with index:
        assert found(shelf.near("heat", "cool a mug", {})) == [active]
        assert found(shelf.everything("cool a mug", {})) == [active]
    assert other != active


def test_an_item_found_by_a_rare_word_alone_comes_into_question(bank, embedder, tmp_path):
    asked = "a mug number that is warm, a warm mug, a mug with a number, and the zyzzyva"
    crowd = [a_lesson(when=f"a mug number {n} is warm") for n in range(70)]
    far = a_lesson(when="stocks fall", fault="investors sell", instead="ask Zyzzyva to compile")
    *_, rare = activate(bank, *crowd, far)
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    with index:
        by_meaning = index.find(embedder.query(asked), 64)
        near = shelf.near("heat", asked, {})
    assert rare not in [neighbor.id for neighbor in by_meaning]
    assert rare in found(near)


def test_advice_that_came_since_is_found_once_the_shelf_is_refreshed(bank, embedder, tmp_path):
    crowd = [a_lesson(when=f"the kettle {n} is warm", kind="heat") for n in range(70)]
    activate(bank, *crowd)
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    with index:
        shelf.near("prove", "warm a kettle", {})
        late = a_lesson(when="a proof is long", fault="-", instead="use a lemma", kind="prove")
        (late,) = activate(bank, late)
        shelf.refresh()
        assert late in found(shelf.near("prove", "warm a kettle", {}))


def test_every_active_item_is_there_for_the_strategies_that_want_all(bank, embedder, tmp_path):
    ids = activate(bank, *(a_lesson(when=f"case {n}") for n in range(70)), a_skill())
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    with index:
        assert sorted(found(shelf.everything("cool a mug", {}))) == sorted(ids)


def test_from_the_words_of_a_task_to_the_words_of_its_briefing(bank, embedder, tmp_path):
    activate(
        bank,
        a_demonstration(),
        a_lesson(when="a proof is long", fault="-", instead="use a lemma", kind="prove"),
    )
    shelf, index = shelf_of(bank, embedder, tmp_path / "index")
    space = Space(render=small, count_tokens=lambda text: len(text.split()), budget=60)
    with index:
        told = recall(
            "cool",
            shelf.near("cool", "put a cool mug in the cabinet", {}),
            strategy="worth",
            taste=Taste(),
            space=space,
            lot=Lot(share=0.0, seed=1),
        )
    assert told.briefing == "Example: cool a mug\n> open fridge 1\n> cool mug 2 with fridge 1"
    assert told.tokens == len(told.briefing.split())
