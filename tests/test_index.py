"""The index beside the truth: several processes, kills, deletions, and a real Chroma server."""

import gc
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from random import Random

import numpy as np
import pytest

from chroma_servers import ChromaServer, Guard, free_port
from environments.errors import UserError
from index_worker import ALL, MODEL, WIDTH, a_bank, a_server, a_vector, fill, me
from memory.index import chroma
from memory.index.chroma import IndexRefusedError, IndexUnreachableError, Which
from memory.index.claim import Claim, owner_of
from memory.index.index import Agreement, Index, NotTheOwnerError
from memory.knowledge.items import Standing
from store_worker import MORNING

WORKER = Path(__file__).parent / "index_worker.py"
ACTIVE = Which(model=MODEL)


@pytest.fixture
def bank(tmp_path):
    with a_bank(tmp_path / "db") as bank:
        yield bank


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def start(tmp_path):
    """Start workers, and leave none behind."""
    started = []

    def begin(verb, *more):
        arguments = [sys.executable, str(WORKER), verb, str(tmp_path / "db"), *map(str, more)]
        process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def asked(process):
    """Return stored, indexed, searched and lost, as a process finds them now."""
    process.stdin.write("\n")
    process.stdin.flush()
    return [int(word) for word in process.stdout.readline().split()]


def nearest(index, text, limit=1):
    return [near.id for near in index.find(a_vector(text), limit)]


def write_all(start, *, writers, each):
    running = [start("write", f"w{n}", each) for n in range(writers)]
    assert [process.wait(timeout=300) for process in running] == [0] * writers


@pytest.mark.parametrize("each", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_every_process_finds_every_item_that_three_writers_write(bank, folder, start, each):
    fill(bank, "before", 10)
    owner = start("find", folder)
    assert owner.stdout.readline() == "owner\n"
    reader = start("find", folder)
    assert reader.stdout.readline() == "reader\n"
    write_all(start, writers=3, each=each)
    total = 10 + 3 * each
    assert asked(owner) == [total, total, total, 0]
    assert asked(reader) == [total, total, total, 0]
    fresh = start("find", folder)
    assert fresh.stdout.readline() == "reader\n"
    assert asked(fresh) == [total, total, total, 0]


def test_a_second_process_is_told_who_owns_the_index(bank, folder, start):
    owner = start("find", folder)
    assert owner.stdout.readline() == "owner\n"
    told = owner_of(folder)
    assert told is not None
    assert (told.pid, told.host) == (owner.pid, "here")
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert not index.owned
        with pytest.raises(NotTheOwnerError) as refused:
            index.rebuild()
    assert isinstance(refused.value, UserError)
    assert owner_of(folder) == told  # whoever was refused has not taken the owner's name away


def test_a_released_index_belongs_to_nobody(bank, folder):
    index = Index.embedded(bank, ALL, folder, me())
    assert owner_of(folder) == me()
    index.close()
    index.close()
    assert owner_of(folder) is None


def test_a_claim_is_one_at_a_time(tmp_path):
    first = Claim.stake(tmp_path, me())
    assert first is not None
    assert Claim.stake(tmp_path, me(MORNING.replace(year=2027))) is None
    assert owner_of(tmp_path) == me()
    first.release()
    second = Claim.stake(tmp_path, me())
    assert second is not None
    second.release()


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 11))]
)
def test_a_killed_owner_frees_the_lock_and_the_next_start_agrees_with_sql(
    bank, folder, start, seed
):
    fill(bank, "before", 50)
    owner = start("find", folder)
    assert owner.stdout.readline() == "owner\n"
    fill(bank, "after", 1500, at_once=500)
    owner.stdin.write("\n")  # it begins to take them over
    owner.stdin.flush()
    time.sleep(Random(seed).uniform(0, 0.6))
    owner.send_signal(signal.SIGKILL)
    owner.wait(timeout=30)
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert index.owned
        found = index.check(sample=200)
        assert (found.stored, found.indexed, found.lost) == (1550, 1550, ())
        assert found.good


def test_deleting_the_index_loses_nothing(bank, folder):
    lessons = fill(bank, "a", 30)
    with Index.embedded(bank, ALL, folder, me()) as index:
        before = nearest(index, "a 7", 30)
    shutil.rmtree(folder)
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert index.owned
        assert nearest(index, "a 7", 30) == before
    assert before[0] == lessons[7].id
    assert set(before) == {lesson.id for lesson in lessons}


@pytest.mark.parametrize(
    ("many", "page"), [(30, 7), (30, 30), pytest.param(40_000, chroma.PAGE, marks=pytest.mark.slow)]
)
def test_an_index_is_opened_again_however_many_it_holds(folder, monkeypatch, many, page):
    monkeypatch.setattr(chroma, "PAGE", page)
    keys = [(f"L{n}", 1 + n % 3) for n in range(many)]
    unit_ND = np.random.default_rng(0).standard_normal((many, WIDTH)).astype(np.float32)
    for held in ([], keys):
        claim = Claim.stake(folder, me())
        opened = chroma.Chroma.in_folder(folder, claim, ALL)
        assert sorted(opened.keys()) == sorted(held)
        opened.follow(held, keys, unit_ND)
        assert sorted(opened.keys()) == sorted(keys)
        opened.close()


def test_what_an_owner_took_over_is_taken_back_when_it_leaves_and_comes_again(bank, folder):
    (lesson,) = fill(bank, "a", 1)
    bank.set_standing(lesson.id, Standing.ACTIVE, "proved", MORNING)
    with Index.embedded(bank, ACTIVE, folder, me()) as index:
        for standing in (Standing.RETIRED, Standing.CANDIDATE, Standing.ACTIVE) * 2:
            bank.set_standing(lesson.id, standing, "to and fro", MORNING)
            index.refresh()
            active = standing is Standing.ACTIVE
            assert nearest(index, "a 0") == ([lesson.id] if active else [])
            assert index.check().good


@pytest.mark.parametrize("damaged", ["chroma.sqlite3", "*/*.bin"])
def test_a_damaged_index_is_made_again(bank, folder, damaged):
    lessons = fill(bank, "a", 1200, at_once=400)  # enough for Chroma to write its graph
    with Index.embedded(bank, ALL, folder, me()):
        pass
    files = list((folder / "chroma").glob(damaged))
    assert files
    for file in files:
        file.write_bytes(b"not what it was")
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert nearest(index, "a 3") == [lessons[3].id]
        assert index.check().good


def test_rebuilding_makes_the_same_index_from_sql_alone(bank, folder):
    fill(bank, "a", 20)
    with Index.embedded(bank, ALL, folder, me()) as index:
        before = nearest(index, "a 1", 20)
        assert index.rebuild() == 20
        assert nearest(index, "a 1", 20) == before


@pytest.mark.parametrize("owned", [True, False])
def test_an_index_that_is_behind_says_what_it_lacks(bank, folder, owned):
    fill(bank, "a", 4)
    holder = None if owned else Claim.stake(folder, me())
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert index.owned is owned
        late = fill(bank, "b", 2)
        found = index.check()
        assert (found.stored, found.indexed) == (6, 4)
        assert found.lost == tuple(sorted(lesson.id for lesson in late))
        assert not found.good
        index.refresh()
        assert index.check().good
    if holder:
        holder.release()


@pytest.mark.parametrize("owned", [True, False])
def test_a_revised_item_is_found_by_its_new_words_and_a_retired_one_by_none(bank, folder, owned):
    first, second = fill(bank, "a", 2)
    for item in (first, second):
        bank.set_standing(item.id, Standing.ACTIVE, "proved", MORNING)
    holder = None if owned else Claim.stake(folder, me())
    with Index.embedded(bank, ACTIVE, folder, me()) as index:
        assert set(nearest(index, "a 0", 9)) == {first.id, second.id}
        bank.set_standing(second.id, Standing.RETIRED, "harms", MORNING)
        changed = bank.revise(replace(bank.get(first.id), when="quite another case"))
        bank.put_vectors(MODEL, {(changed.id, changed.version): a_vector("quite another case")})
        index.refresh()
        assert nearest(index, "a 0", 9) == []  # new words have to prove themselves again
        bank.set_standing(first.id, Standing.ACTIVE, "proved", MORNING)
        index.refresh()
        (only,) = index.find(a_vector("quite another case"), 9)
        assert only.id == first.id
        assert only.similarity == pytest.approx(1.0, abs=1e-5)
    if holder:
        holder.release()


def test_chroma_and_the_exact_search_agree(bank, folder):
    fill(bank, "a", 300)
    with (
        Index.embedded(bank, ALL, folder, me()) as chroma,
        Index.embedded(bank, ALL, folder, me()) as exact,
    ):
        assert (chroma.owned, exact.owned) == (True, False)
        far = exact.find(-a_vector("q 0"), 1)[0].id
        for n in range(20):
            ours, theirs = (
                each.find(a_vector(f"q {n}"), 10, also=[far]) for each in (chroma, exact)
            )
            assert [near.id for near in ours] == [near.id for near in theirs]
            assert [near.similarity for near in ours] == pytest.approx(
                [near.similarity for near in theirs], abs=1e-5
            )


def test_vectors_of_two_models_do_not_meet(bank, folder):
    (lesson,) = fill(bank, "a", 1)
    with Index.embedded(bank, Which(model="another", standing=None), folder, me()) as index:
        assert index.find(a_vector("a 0"), 5, also=[lesson.id]) == []
    with Index.embedded(bank, ALL, folder, me()) as index:
        assert nearest(index, "a 0", 5) == [lesson.id]


def test_a_server_that_does_not_answer_is_told_in_one_line(bank):
    port = free_port()
    with pytest.raises(IndexUnreachableError, match=f"no Chroma server at 127.0.0.1:{port}"):
        Index.served(bank, ALL, a_server(port))


LEAKY = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""For tests after which chromadb leaves a connection open that was broken or refused."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield one for all tests: what one leaves on it is no longer in SQL, and goes."""
    chroma = ChromaServer(tmp_path_factory.mktemp("served"))
    chroma.start()
    yield chroma
    chroma.kill()


def test_a_server_is_shared_by_any_number_of_processes(bank, server, start):
    fill(bank, "a", 20)
    one, other = start("share", server.port), start("share", server.port)
    assert [each.stdout.readline() for each in (one, other)] == ["owner\n", "owner\n"]
    assert asked(one) == asked(other) == [20, 20, 20, 0]
    write_all(start, writers=2, each=20)
    assert asked(other) == [60, 60, 60, 0]
    assert asked(one) == [60, 60, 60, 0]


@LEAKY
def test_a_server_that_goes_in_the_middle_is_one_line_and_serves_on_when_it_is_back(bank, server):
    first, *_ = fill(bank, "a", 5)
    with Index.served(bank, ALL, a_server(server.port)) as index:
        assert nearest(index, "a 0") == [first.id]
        server.kill()
        with pytest.raises(IndexUnreachableError, match="then resume: nothing") as gone:
            index.find(a_vector("a 0"), 1)
        with pytest.raises(IndexUnreachableError):
            index.refresh()
        assert "\n" not in str(gone.value)
        server.start()
        assert nearest(index, "a 0") == [first.id]
        assert index.check().good


def search_until(made, index, lessons, found):
    """Search for one after the other, note each in `found`, and return those that were missed."""
    missed = []
    while not made.is_set():
        for number in range(0, len(lessons), 7):
            if nearest(index, f"a {number}") != [lessons[number].id]:
                missed.append(number)
            found.append(number)
    return missed


@LEAKY
def test_whoever_searches_misses_nothing_while_another_makes_the_index_again(bank, server):
    lessons = fill(bank, "a", 40)
    made, found = threading.Event(), []
    served = partial(Index.served, bank, ALL, a_server(server.port))
    with served() as one, served() as other, served() as third, ThreadPoolExecutor(2) as threads:
        searches = [
            threads.submit(search_until, made, index, lessons, found) for index in (one, other)
        ]
        for _ in range(4):
            before = len(found)
            assert third.rebuild() == 40
            while len(found) < before + 20 and not any(search.done() for search in searches):
                time.sleep(0.01)
        made.set()
        assert [search.result() for search in searches] == [[], []]
        late = fill(bank, "b", 3)
        for index in (one, other, third):
            index.refresh()
            assert nearest(index, "b 1") == [late[1].id]
            assert index.check().good


def test_an_index_that_was_half_made_again_is_not_searched_and_is_finished_later(bank, server):
    lessons = fill(bank, "a", 10)
    with Index.served(bank, ALL, a_server(server.port)) as index:
        half = index._chroma._made(f"{ALL.collection}-2", whole=False)
        half.upsert(ids=["L99"], embeddings=[a_vector("x")], metadatas=[{"version": 1}])
        with Index.served(bank, ALL, a_server(server.port)) as other:
            assert set(nearest(other, "x", 10)) == {lesson.id for lesson in lessons}
        assert index.rebuild() == 10
        assert nearest(index, "a 3") == [lessons[3].id]
        assert index.check().good


@pytest.fixture
def guarded(server):
    """Yield the port of a proxy that asks for a token: a Chroma server of today asks for none."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Guard)
    proxy.behind = server.port
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    yield proxy.server_port
    proxy.shutdown()
    thread.join()
    proxy.server_close()


@LEAKY
def test_a_server_behind_a_proxy_lets_in_who_shows_the_token(bank, guarded):
    fill(bank, "a", 5)
    with Index.served(bank, ALL, a_server(guarded, "open sesame")) as index:
        assert index.check() == Agreement(stored=5, indexed=5, searched=5, lost=())
    for token in ("", "guess"):
        with pytest.raises(IndexRefusedError, match="does not let us in; set") as refused:
            Index.served(bank, ALL, a_server(guarded, token))
        assert isinstance(refused.value, UserError)
        assert "\n" not in str(refused.value)
    gc.collect()
    assert "sesame" not in repr(a_server(guarded, "open sesame"))
