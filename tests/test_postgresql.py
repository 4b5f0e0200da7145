"""What is PostgreSQL's alone: writers side by side, a server that goes and comes back."""

import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

import bank_builders
from bank_builders import a_lesson
from memory.bank.bank import Bank
from memory.bank.pages import Pages
from memory.store.database import writing
from memory.store.errors import StoreError
from memory.store.store import Store
from store_worker import TASK, an_episode

WORKER = Path(__file__).with_name("store_worker.py")


@pytest.fixture
def url(emptied):
    return emptied()


def all_at_once(*deeds):
    """Do each in a thread of its own, and raise what one of them raises."""
    with ThreadPoolExecutor(len(deeds)) as threads:
        return [done.result() for done in [threads.submit(deed) for deed in deeds]]


def shuffled(seed, many):
    episodes = [an_episode(f"e{number:03d}", minute=number) for number in range(many)]
    random.Random(seed).shuffle(episodes)
    return episodes


def test_writers_of_the_same_episodes_store_each_once_and_none_waits_forever(url):
    def write(seed):
        episodes = shuffled(seed, 60)
        with Store.open(url, busy_s=20) as store:
            return sum(store.add_all(episodes[start : start + 20]) for start in (0, 20, 40))

    assert sum(all_at_once(*(partial(write, seed) for seed in range(4)))) == 60
    with Store.open(url) as store, Pages.open(url) as pages:
        assert store.count() == 60
        assert store.integrity() == ()
        assert len(pages.episodes(words="fridge", limit=99).rows) == 60


def test_writers_of_the_bank_take_turns_so_that_the_journal_has_no_gap(url):
    with Store.open(url) as store:
        store.add(an_episode("e1"))

    def write():
        with Bank.open(url, busy_s=20) as bank:
            for _ in range(5):
                bank.add(a_lesson("e1"))

    all_at_once(write, write, write)
    with Bank.open(url) as bank:
        assert [item.id for item in bank.items()] == [f"L{number}" for number in range(1, 16)]
        assert bank.integrity() == ()


def test_an_episode_is_stored_while_another_process_writes_to_the_bank(url):
    with Store.open(url) as store:
        store.add(an_episode("e1"))
        with Bank.open(url, busy_s=0.2) as bank, Bank.open(url) as other:
            with writing(other._engine).begin():
                assert store.add(an_episode("e2")) == 1
                with pytest.raises(StoreError, match="another process kept it locked too long"):
                    bank.add(a_lesson("e1"))
            assert bank.add(a_lesson("e1")).id == "L1"


def test_a_server_that_is_gone_is_one_line_and_one_that_is_back_is_not_noticed(postgres, url):
    with Store.open(url) as store:
        store.add(an_episode("e1"))
        for how in (signal.SIGQUIT, signal.SIGINT):
            postgres.stop(how)
            try:
                with pytest.raises(StoreError, match="the server is not there") as gone:
                    store.add(an_episode("e2"))
                with pytest.raises(StoreError, match="start it and resume"):
                    Store.open(url)
            finally:
                postgres.start()
            assert "\n" not in str(gone.value)
            assert store.count() == 1
        assert store.add(an_episode("e2")) == 1


def test_a_server_that_goes_in_the_middle_of_a_statement_is_the_same_line(postgres, url):
    with Store.open(url) as store, store._engine.connect() as connection:
        stop = threading.Timer(0.2, postgres.stop)
        stop.start()
        try:
            with pytest.raises(StoreError, match="the server is not there") as gone:
                connection.execute(text("SELECT pg_sleep(20)"))
        finally:
            stop.join()
            postgres.start()
        assert "\n" not in str(gone.value)
        assert store.count() == 0


def test_what_a_server_refuses_is_told_in_one_line(postgres, url):
    missing = postgres.url("nowhere")
    with pytest.raises(StoreError, match='refused: database "nowhere" does not exist') as caught:
        Store.open(missing)
    assert "createdb" in str(caught.value)
    stranger = url.replace("tester", "stranger:secret")
    with pytest.raises(StoreError, match='role "stranger" does not exist') as caught:
        Store.open(stranger)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_a_database_that_cannot_hold_every_text_is_refused(postgres):
    latin = postgres.url(postgres.new_database("template0 ENCODING 'LATIN1'"))
    with pytest.raises(StoreError, match="is encoded in LATIN1; make one with createdb"):
        Store.open(latin)


def test_text_that_postgresql_cannot_keep_as_it_is_is_found_all_the_same(url):
    odd = an_episode("e1", task=replace(TASK, goal="cool the CAF\u00c9\0cup"))
    with Store.open(url) as store, Pages.open(url) as pages:
        store.add(odd)
        assert store.get("e1") == odd
        assert store.integrity() == ()
        assert store.rows()[0].goal == "cool the CAF\u00c9\u2400cup"
        for words in ("cafe", "caf\u00e9", "CUPS", "cool_cup"):
            assert [row.id for row in pages.episodes(words=words, limit=5).rows] == ["e1"]


def test_an_episode_of_more_words_than_an_index_takes_is_stored(url):
    words = " ".join(f"word{number}" for number in range(300_000))
    with Store.open(url) as store, Pages.open(url) as pages:
        assert store.add(an_episode("e1", closing="the end", briefing=words)) == 1
        assert pages.episodes(words="word7", limit=5).rows != ()


@pytest.mark.slow
def test_processes_that_are_killed_leave_nothing_half_written(url):
    with Store.open(url) as store:
        store.add(an_episode("e1"))
        rng = random.Random(7)
        told = set()
        for life in range(4):
            workers = [
                subprocess.Popen([sys.executable, *args], stdout=subprocess.PIPE, text=True)
                for args in (
                    (WORKER, url, f"life{life}-", "100000"),
                    (WORKER, url, f"other{life}-", "100000"),
                    (bank_builders.__file__, url, "100000"),
                )
            ]
            told |= {worker.stdout.readline().strip() for worker in workers}
            time.sleep(rng.uniform(0, 0.5))
            for worker in workers:
                worker.kill()
            for worker in workers:
                told |= {line.strip() for line in worker.stdout if line.endswith("\n")}
                worker.communicate()
        with Bank.open(url) as bank:
            stored = {each.id for each in store.episodes()} | {each.id for each in bank.items()}
            assert stored >= told
            assert len(stored) <= len(told) + 13
            assert bank.integrity() == ()
        assert store.integrity() == ()


def test_an_index_that_is_not_whole_is_named(url):
    engine = create_engine(url)
    mark = "UPDATE pg_index SET indisvalid = {} WHERE indexrelid = 'run_by_age'::regclass"
    with Store.open(url) as store:
        with engine.begin() as connection:
            connection.execute(text(mark.format("false")))
        assert store.integrity() == ("the index run_by_age is not whole; REINDEX INDEX run_by_age",)
        with engine.begin() as connection:
            connection.execute(text(mark.format("true")))
    engine.dispose()
