"""Whoever looks after the memory is told whether the index finds what SQL holds."""

import shutil

import numpy as np
import pytest

from apprentice.agreement import compare
from apprentice.build import INDEX, make_bank, make_embedder, make_index, make_store
from apprentice.doctor import CHECKS, State
from apprentice.settings.config import load
from bank_builders import a_lesson
from environments.episode import Ending
from memory.knowledge.items import Standing
from store_worker import MORNING, an_episode


@pytest.fixture
def config(tmp_path):
    """Settings of a bank with three active lessons, two of which have vectors."""
    config = load({"home": tmp_path / "home"})
    with make_store(config) as store:
        store.add(an_episode("e1", ending=Ending.FAILED))
    model = make_embedder(config).name
    with make_bank(config) as bank:
        items = bank.add_all([a_lesson(when=f"case {n}") for n in range(3)])
        for item in items:
            bank.set_standing(item.id, Standing.ACTIVE, "test", MORNING)
        vectors = np.eye(3, dtype=np.float32)
        bank.put_vectors(model, {(i.id, 1): v for i, v in zip(items[:2], vectors, strict=False)})
    return config


def test_an_index_that_finds_all_is_good_and_what_waits_is_told(config):
    found = compare(config)
    assert found.found.good
    assert (found.active, found.found.stored, found.unembedded) == (3, 2, 1)
    assert found.words() == "index and bank agree on 2 vectors, 1 items wait for theirs"
    finding = CHECKS["index"](config)
    assert (finding.state, finding.words) == (State.GOOD, found.words())


def test_deleting_the_index_loses_nothing(config):
    compare(config)
    shutil.rmtree(config.home / INDEX)
    assert compare(config).found.good


def test_an_index_of_another_process_is_named(config):
    with make_bank(config) as bank, make_index(config, bank, make_embedder(config).name) as index:
        assert index.owned
        found = compare(config)
    assert found.owner is not None
    assert f"process {found.owner.pid} on {found.owner.host} has it" in found.words()
    assert compare(config).owner is None


def test_without_a_memory_the_index_is_not_even_opened(tmp_path):
    config = load({"home": tmp_path / "home"})
    assert "nothing to find yet" in CHECKS["index"](config).words
    assert not (config.home / INDEX).exists()
