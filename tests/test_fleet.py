"""Attempts on Ray's workers: the same episodes as here, each once, whoever dies meanwhile."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from agent.play.fleet import INSTALL, LOSSES, MissingRayError, fleet, watch
from agent.scripted import RandomPolicy
from apprentice.build import make_store
from apprentice.commands.run import EXIT_INTERRUPTED, StoppedError, new_run
from apprentice.settings.config import load
from apprentice.spreading import PlaceOfWorkError, Workplace, furnished, travelling
from command import APPRENTICE, apprentice, environment, one_line
from environments.episode import Ending, Split
from practicing import NOON, attempts, practiced, untimed
from rays import crew, deadly, needs_ray, plodding, processes, waited_for, workshop

PLAYED = ["run", "--policy", "random", "--memory", "off", "--seed", "3"]


def _spread(opened, tries):
    async def played():
        async with aclosing(opened.practise(tries)) as finished:
            return [episode async for episode in finished]

    return asyncio.run(played())


def _free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


def _bare(home):
    """Return the episodes of a home without what differs from run to run, in order."""
    with make_store(load({"home": home})) as store:
        kept = [
            replace(each, id="", run="", started=NOON, seconds=0.0) for each in store.episodes()
        ]
    return sorted(kept, key=lambda episode: (episode.task.id, episode.seed))


@pytest.fixture(autouse=True)
def _findable(monkeypatch):
    """Let workers import what the tests give them to play with."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.skipif(not needs_ray.args[0], reason="ray is installed")
def test_without_ray_the_line_to_install_it_is_given():
    wanted = re.escape(f"--on ray needs ray, not installed here; run: {INSTALL}")
    with pytest.raises(MissingRayError, match=wanted), fleet(crew(workshop, 1), None, 1):
        pass


@pytest.mark.parametrize("on", ["gpu", "ray:10001", "ray://", "rays://head:6379"])
def test_a_place_that_is_none_is_refused_in_one_line(on):
    with pytest.raises(PlaceOfWorkError, match=r"wanted here, ray, or ray://HOST:PORT"):
        Workplace(on)


def test_workers_without_ray_are_refused():
    with pytest.raises(PlaceOfWorkError, match="without --on ray"):
        Workplace(workers=2)


@pytest.mark.parametrize(
    ("on", "address"),
    [("here", None), ("ray", None), ("ray://head:6379", "head:6379"), ("ray://auto", "auto")],
)
def test_an_address_is_that_of_a_cluster_that_runs(on, address):
    assert Workplace(on).address == address


@pytest.mark.parametrize(
    ("place", "flags"),
    [
        (Workplace(), ""),
        (Workplace("ray"), " --on ray"),
        (Workplace("ray://head:10001", 4), " --on ray://head:10001 --workers 4"),
    ],
)
def test_who_is_stopped_is_told_to_go_on_in_the_same_place(place, flags, tmp_path):
    run = new_run(load({"home": tmp_path}), Split.TRAIN, 9)
    said = str(StoppedError("interrupted", run, 3, place, EXIT_INTERRUPTED))
    goes_on = f"go on with: apprentice run --resume {run.id}{flags}"
    assert said == f"interrupted; 3 of 9 episodes are kept; {goes_on}"


def test_settings_travel_with_whole_paths_and_without_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    told = travelling(load({"policy": {"use": "random"}, "limits": {"steps": 3}}))
    assert "sesame" not in told
    assert json.loads(told)["home"] == str(tmp_path / ".apprentice")
    conditions = furnished(told)
    assert conditions.policy.name == RandomPolicy.name
    assert conditions.environment.name == "household"
    assert conditions.limits.steps == 3


def test_a_head_that_answers_is_watched_and_one_that_is_gone_is_told_of():
    async def watched():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        watching = asyncio.create_task(watch(host, port, 0.01))
        await asyncio.sleep(0.2)
        assert not watching.done()
        server.close()
        return await asyncio.wait_for(watching, 5), port

    told, port = asyncio.run(watched())
    assert told == f"the head of the Ray cluster at 127.0.0.1:{port} is gone; start it again"


@needs_ray
@pytest.mark.slow
def test_episodes_on_ray_are_those_made_here_and_each_comes_once():
    tries = attempts(24)
    here = practiced(RandomPolicy(), tries)
    with fleet(crew(workshop, 8), None, 2) as opened:
        there = _spread(opened, tries)
        assert Counter(each.id for each in there) == Counter(each.id for each in tries)
        assert untimed(there) == untimed(here)
        assert _spread(opened, []) == []
        assert opened.lost == 0


@needs_ray
@pytest.mark.slow
def test_workers_killed_at_random_lose_no_episode_and_repeat_none():
    tries = attempts(96)
    kills = []

    def kill(over):
        rng = Random(7)
        while not over.wait(rng.uniform(0.2, 1.5)) and len(kills) < 8:
            at_work = processes("ray::Worker", under=os.getpid())
            if at_work:
                kills.append(rng.choice(at_work))
                os.kill(kills[-1], signal.SIGKILL)

    with fleet(crew(plodding, 4), None, 2) as opened:
        assert len(_spread(opened, attempts(2))) == 2  # they are ready
        over = threading.Event()
        killer = threading.Thread(target=kill, args=(over,))
        killer.start()
        there = _spread(opened, tries)
        over.set()
        killer.join()
        lost = opened.lost
    assert len(kills) >= 2
    assert lost >= 1
    assert Counter(each.id for each in there) == Counter(each.id for each in tries)
    assert untimed(there) == untimed(practiced(RandomPolicy(), tries))


@needs_ray
@pytest.mark.slow
def test_an_attempt_that_kills_its_workers_ends_as_a_broken_one():
    (attempt,) = attempts(1)
    deaths = next(
        each
        for each in (replace(attempt, seed=seed) for seed in range(100))
        if "go to garden" in practiced(RandomPolicy(), [each])[0].actions
    )
    with fleet(crew(deadly, 1), None, 1) as opened:
        (broken,) = _spread(opened, [deaths])
    assert broken.ending is Ending.BROKEN
    assert broken.error == f"{LOSSES} workers died while they played this attempt"


@needs_ray
@pytest.mark.slow
def test_the_same_ten_seeds_give_the_same_episodes_here_and_on_ray(tmp_path):
    short = [*PLAYED, "--episodes", 10, "--steps", 12]
    here = apprentice(*short, "--home", "here", "--json", cwd=tmp_path)
    there = apprentice(
        *short, "--home", "there", "--on", "ray", "--workers", 2, "--json", cwd=tmp_path
    )
    assert here.returncode == there.returncode == 0, there.stderr
    told = json.loads(there.stdout)
    assert (told["episodes"], told["steps"]) == (10, json.loads(here.stdout)["steps"])
    assert "10/10 episodes" in there.stderr
    assert _bare(tmp_path / "here") == _bare(tmp_path / "there")


@needs_ray
@pytest.mark.slow
def test_a_worker_that_cannot_work_ends_the_run_in_one_line(tmp_path):
    args = ["--policy", "openai:nobody", "--episodes", 2, "--on", "ray", "--workers", 1]
    failed = apprentice(
        "run", *args, "--memory", "off", cwd=tmp_path,
        OPENAI_BASE_URL=f"http://127.0.0.1:{_free_port()}/v1", APPRENTICE_ENDPOINT__RETRIES="0",
    )  # fmt: skip
    assert failed.returncode == 3
    assert "0 of 2 episodes are kept" in one_line(failed)


def _head(port, place):
    """Start the head of a cluster, and return the processes that are its heart."""
    ray = Path(sys.executable).parent / "ray"
    began = subprocess.run(
        [ray, "start", "--head", "--port", str(port), "--num-cpus", "2", "--disable-usage-stats",
         "--include-dashboard=false", "--temp-dir", place],
        env=environment(RAY_AUTH_MODE="disabled"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert began.returncode == 0, began.stderr
    return _of(place)


def _of(place):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"{place}/session_" in command:
                found.append(int(entry.name))
    return found


def _kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@needs_ray
@pytest.mark.slow
def test_a_head_that_is_killed_ends_the_run_in_one_line_and_it_goes_on_when_it_is_back(tmp_path):
    port, place = _free_port(), Path(tempfile.mkdtemp(dir="/tmp"))  # its sockets' names are long
    heart = _head(port, place)
    there = ["--on", f"ray://127.0.0.1:{port}", "--home", "home"]
    try:
        args = [*PLAYED, "--episodes", "80", "--steps", "40", "--width", "2", *there]
        process = subprocess.Popen(
            [APPRENTICE, *args], cwd=tmp_path, env=environment(RAY_AUTH_MODE="disabled"),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        config = load({"home": tmp_path / "home"})
        waited_for((tmp_path / "home" / "apprentice.sqlite").exists)
        with make_store(config) as store:
            waited_for(lambda: store.count() >= 3)
        _kill(heart)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 3, said
        (line,) = [each for each in said.splitlines() if each.startswith("apprentice: ")]
        assert re.search(rf"the head of the Ray cluster at .*:{port} is gone; .*--resume", line)
        with make_store(config) as store:
            kept = {row.id for row in store.rows(limit=80)}
        assert 3 <= len(kept) < 80
        _kill(_of(place))
        time.sleep(1)
        _head(port, place)
        done = apprentice(
            "run", "--resume", *there, "--json", cwd=tmp_path, RAY_AUTH_MODE="disabled"
        )
        assert done.returncode == 0, done.stderr
        with make_store(config) as store:
            rows = store.rows(limit=500)
        assert len({row.id for row in rows}) == len(rows) == 80
        assert kept < {row.id for row in rows}
        assert len({row.run for row in rows}) == 1
    finally:
        _kill(_of(place))
        shutil.rmtree(place, ignore_errors=True)
