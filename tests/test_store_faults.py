"""What may go wrong around a store: other processes, sudden death, full and read-only disks."""

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memory.store.errors import StoreError
from memory.store.store import Store
from store_worker import an_episode

WORKER = Path(__file__).with_name("store_worker.py")


def start_worker(path, prefix, many):
    return subprocess.Popen(
        [sys.executable, WORKER, path, prefix, str(many)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal(where, **options):
    """Return the one line with which a store is refused."""
    with pytest.raises(StoreError) as caught:
        Store.open(where, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_directory_is_refused(tmp_path):
    line = refusal(tmp_path / "nowhere" / "store.db")
    assert line == f"no directory {str(tmp_path / 'nowhere')!r} for the store; create it"


def test_a_directory_is_no_store(tmp_path):
    assert "is a directory; name a file in it" in refusal(tmp_path)


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "mysql://me:secret@db/x", "postgresql://me:secret@db", "://", "a://secret@b:c/d"],
)
def test_a_url_of_no_database_is_refused_and_shows_no_password(url):
    line = refusal(url)
    assert "give a path, sqlite:///PATH or postgresql://" in line
    assert "secret" not in line


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n" * 1000)
    assert "not a SQLite database; name another file" in refusal(path)
    assert path.read_text() == "buy milk\n" * 1000


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "cookies.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookie (name TEXT)")
    connection.close()
    assert "another program's tables" in refusal(path)
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("cookie",)]


def test_a_store_locked_longer_than_the_patience_is_refused_and_then_works(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path, busy_s=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process kept it locked too long"):
            store.add(an_episode())
        assert store.rows() == []  # readers do not wait for a writer
        other.execute("COMMIT")
        other.close()
        assert store.add(an_episode()) == 1


def test_a_writer_waits_for_another_that_takes_its_time(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path, busy_s=20) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        assert store.add(an_episode()) == 1
        release.join()
        other.close()


def test_threads_share_one_store(tmp_path):
    with Store.open(tmp_path / "store.db") as store:
        threads = [
            threading.Thread(
                target=lambda name=name: [store.add(an_episode(f"{name}{n}")) for n in range(25)]
            )
            for name in "abcdefgh"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count() == 200
        assert store.integrity() == ()


def test_three_processes_write_while_a_fourth_reads_and_nothing_is_lost(tmp_path):
    path = tmp_path / "store.db"
    workers = [start_worker(path, prefix, 300) for prefix in "abc"]  # the store is made by these
    while not path.exists():
        time.sleep(0.01)
    counts = []
    with Store.open(path) as reader:
        while any(worker.poll() is None for worker in workers):
            counts.append(reader.count())
            assert len(reader.rows(limit=10)) == min(10, counts[-1]) or counts[-1] < 10
        for worker in workers:
            out, err = worker.communicate()
            assert (worker.returncode, err) == (0, "")
            assert len(out.splitlines()) == 300
        assert counts == sorted(counts)
        assert any(0 < count < 900 for count in counts)  # it did read in the middle
        assert reader.count() == 900
        assert reader.integrity() == ()


def test_what_was_reported_as_stored_survives_sudden_death(tmp_path):
    path = tmp_path / "store.db"
    rng = random.Random(7)
    reported = []
    for life in range(4):
        worker = start_worker(path, f"life{life}-", 100_000)
        assert worker.stdout is not None
        reported.append(worker.stdout.readline().strip())
        time.sleep(rng.uniform(0.0, 0.3))
        worker.kill()
        # The last line may be cut; what it names is not reported then.
        reported += [line.strip() for line in worker.stdout if line.endswith("\n")]
        worker.communicate()
    with Store.open(path) as store:
        stored = {episode.id for episode in store.episodes()}
        assert len(reported) > 20
        assert stored >= set(reported)
        assert len(stored) <= len(reported) + 4  # at most one a life was stored and not reported
        assert store.integrity() == ()


SMALL_DISK = 'mount -t tmpfs -o size=2m tmpfs "$0" && '
"""Beginning of a shell script that runs where its first argument is an empty disk of 2 MB."""


def on_a_small_disk(script, *arguments):
    """Run a shell script in a mount namespace of its own, so that its disk vanishes with it."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare on this machine")
    isolated = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a mount namespace")
    return subprocess.run(
        [*isolated, "sh", "-c", SMALL_DISK + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_ends_with_one_line_and_keeps_what_was_stored(tmp_path):
    rescue = tmp_path / "rescue"
    (tmp_path / "disk").mkdir()
    rescue.mkdir()
    done = on_a_small_disk(
        '"$1" "$2" "$0/store.db" e 100000; code=$?; cp "$0"/* "$3"; exit $code',
        *(tmp_path / "disk", sys.executable, WORKER, rescue),
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the disk is full; free some space and resume" in line
    reported = set(done.stdout.split())
    assert len(reported) > 20
    with Store.open(rescue / "store.db") as store:  # as it goes on once there is room again
        assert {episode.id for episode in store.episodes()} == reported
        assert store.integrity() == ()
        assert store.add(an_episode("one more")) == 1


@pytest.mark.parametrize("existing", [True, False])
def test_a_read_only_disk_is_refused_in_one_line(tmp_path, existing):
    prepare = '"$1" "$2" "$0/store.db" e 5 >&2 && ' if existing else ""
    done = on_a_small_disk(
        prepare + 'mount -o remount,ro "$0" && "$1" "$2" "$0/store.db" f 1',
        *(tmp_path, sys.executable, WORKER),
    )
    assert done.returncode == 1
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("cannot use the store")
    assert "allow writing to" in line
    assert "Traceback" not in done.stderr
