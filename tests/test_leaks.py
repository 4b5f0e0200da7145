"""The bench that looks for leaks finds the ones that are planted, and none where there is none."""

import os
import subprocess
import sys

from bench.leaks import Held, family, grown, held, least, watched
from worlds import Workshop

SECONDS = 0.6


def test_files_that_stay_open_are_found():
    before = held(os.getpid())
    left = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    after = held(os.getpid())
    for each in left:
        os.close(each)
    assert after.files == before.files + 20
    assert list(grown(before, after)) == ["files"]


def test_a_world_that_gives_all_back_leaks_nothing():
    found = watched(Workshop(), SECONDS)
    assert found["leaks"] == "none"
    assert found["episodes"] > 0
    assert found["files_end"] <= found["files_warm"] + 16


def test_what_begins_and_ends_is_no_leak_and_what_stays_is():
    before = Held(processes=10, jvms=1, files=50, rss_mb=400)
    assert list(grown(before, Held(processes=14, jvms=1, files=66, rss_mb=420))) == []
    after = Held(processes=15, jvms=2, files=67, rss_mb=421)
    assert list(grown(before, after)) == ["processes", "jvms", "files", "rss_mb"]


def test_a_process_counts_with_all_that_descend_from_it():
    script = "import subprocess, sys; subprocess.run(['cat'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
        while len(list(family(child.pid))) < 2:
            assert child.poll() is None
        assert held(child.pid).processes == 2
        child.stdin.close()


def test_what_comes_and_goes_is_not_held():
    looks = [Held(processes=n, jvms=1, files=40 - n, rss_mb=400) for n in (33, 6, 12)]
    assert least(looks) == Held(processes=6, jvms=1, files=7, rss_mb=400)
