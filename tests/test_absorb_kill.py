"""Absorbing killed at any moment: bank and index agree, nothing is lost, nothing comes twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

import absorb_worker
from absorb_worker import WHICH, WORLD, take_in
from environments.episode import Ending, Split
from index_worker import me
from memory.bank.bank import Bank
from memory.index.index import Index
from memory.knowledge.items import text_of
from memory.store.store import Store
from wandering import excursions, recorded

MOST = 3
"""Episodes that a sitting learns from before its kill, at most: twenty do not get through all."""

MOMENT_S = 0.05
"""How much longer it may live: some steps of absorbing one episode."""


def experience():
    """Return solved and wasted attempts at each task."""
    for place, task in enumerate(WORLD.tasks(Split.TRAIN)):
        rng = Random(task.id)
        yield recorded(WORLD, task, excursions(WORLD, task, rng, longest=3), id=f"s{place:02}")
        wasted = [*WORLD.gold(task)[:2], "inventory", "inventory"]
        yield recorded(WORLD, task, wasted, id=f"f{place:02}", ending=Ending.FAILED)


def start(path, folder):
    tests = Path(absorb_worker.__file__).parent
    return subprocess.Popen(
        [sys.executable, absorb_worker.__file__, path, folder],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tests.parent,
        env={**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"},
    )


def killed(path, folder, rng):
    """Start absorbing, kill it in the middle, and return whether it had to be."""
    process = start(path, folder)
    for _ in range(rng.randrange(MOST + 1)):
        process.stdout.readline()
    time.sleep(rng.uniform(0, MOMENT_S))
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait() == -signal.SIGKILL


def learned(path):
    """Return what a bank says, without the ids, which depend on the order."""
    with Bank.open(path) as bank:
        items = bank.items()
        said = sorted((type(i).__name__, text_of(i), sorted(i.source.episodes)) for i in items)
        critiques = [bank.critiques(f"f{n:02}") for n in range(len(WORLD.tasks(Split.TRAIN)))]
    return said, [len(each) for each in critiques]


def agrees(path, folder):
    """Return whether a process that starts now finds in the index what SQL holds."""
    with Bank.open(path) as bank:
        assert not bank.integrity()
        with Index.embedded(bank, WHICH, folder, me()) as index:
            assert index.owned  # the lock died with its owner
            return index.check(sample=10_000).good


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what is learned where nobody interferes."""
    home = tmp_path_factory.mktemp("whole")
    with Store.open(home / "db") as store:
        store.add_all(experience())
    take_in(home / "db", home / "index")
    return learned(home / "db")


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_absorbing_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path, whole, kills):
    path, folder, rng = tmp_path / "db", tmp_path / "index", Random(kills)
    with Store.open(path) as store:
        store.add_all(experience())
    for _ in range(kills):
        assert killed(path, folder, rng), "it was over before a kill: that measures nothing"
        assert agrees(path, folder)
    take_in(path, folder)
    assert agrees(path, folder)
    said, critiques = learned(path)
    assert (said, critiques) == whole
    assert set(critiques) == {1}
