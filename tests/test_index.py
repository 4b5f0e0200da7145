"""The index beside the truth: several processes, kills, deletions, and a real Chroma server."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from environments.errors import UserError
from index_worker import ALL, MODEL, a_bank, a_vector, fill, me
from memory.claim import Claim, owner_of
from memory.index import Index, IndexUnreachableError, NotTheOwnerError, Which
from memory.items import Standing
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_does_not_answer_is_told_in_one_line(bank):
    port = free_port()
    with pytest.raises(IndexUnreachableError, match=f"no Chroma server at 127.0.0.1:{port}"):
        Index.served(bank, ALL, "127.0.0.1", port)


@pytest.fixture
def server(tmp_path):
    port = free_port()
    chroma = Path(sys.executable).parent / "chroma"
    arguments = [str(chroma), "run", "--path", str(tmp_path / "served"), "--port", str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(timeout=30)


def test_a_server_is_shared_by_any_number_of_processes(bank, server, start):
    fill(bank, "a", 20)
    one, other = start("share", server), start("share", server)
    assert [each.stdout.readline() for each in (one, other)] == ["owner\n", "owner\n"]
    assert asked(one) == asked(other) == [20, 20, 20, 0]
    write_all(start, writers=2, each=20)
    assert asked(other) == [60, 60, 60, 0]
    assert asked(one) == [60, 60, 60, 0]
