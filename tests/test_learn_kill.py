"""A round killed at any moment goes on, and ends as the undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from shutil import copytree

import pytest
from safetensors.torch import load_file

from apprentice.build import make_bank, make_store
from apprentice.commands.learn import open_rounds
from apprentice.loop.reports import record_of
from apprentice.loop.site import practice_of
from apprentice.settings.config import load
from command import APPRENTICE, environment
from practicing import NOON
from tiny_learner import install_workshop, save_tiny_model, written_settings

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a tiny model, an installed workshop, and settings that name both."""
    folder = tmp_path_factory.mktemp("kill")
    install_workshop(folder / "site")
    written_settings(folder / "small.toml", save_tiny_model(folder / "model"), seed=5)
    return folder


@pytest.fixture(scope="module")
def undisturbed(place):
    began = time.monotonic()
    process = _started(place, "calm")
    assert process.wait() == 0, (place / "calm.log").read_text()
    return _state(place / "calm"), time.monotonic() - began


FULL = {
    "memory": {"recall": "worth", "admission": "off", "floor": 0.0, "left_out": 0.3},
    "critic": {"use": "evidence"},
    "gate": {"tries": 2, "ranged": 4},
    "learn": {"probes": 4},
}
"""Every stage has something to do: memories are used, critics asked, ranges compared."""


class Nursery:
    """Starts rounds in children of one process that has loaded everything."""

    def __init__(self, place, settings, rounds=1):
        path = os.pathsep.join(map(str, (place / "site", TESTS, TESTS.parent)))
        self.place, self.settings, self.rounds = place, place / settings, rounds
        self.worker = subprocess.Popen(
            [sys.executable, TESTS / "learn_worker.py"], env=environment(PYTHONPATH=path),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def started(self, home):
        """Begin or go on with what is left of the rounds, and return the process id."""
        left = max(1, self.rounds - _rounds_finished(self.place / home))
        told = ("--config", self.settings, "--rounds", left, "--home", self.place / home)
        args = ("learn", *told)
        self.worker.stdin.write("\t".join(map(str, args)) + "\n")
        self.worker.stdin.flush()
        return int(self.worker.stdout.readline())

    def ended(self):
        return int(self.worker.stdout.readline())

    def whole(self, home):
        """Carry a round out without a kill, and return how long it took."""
        self.started(home)
        began = time.monotonic()
        assert self.ended() == 0, (self.place / f"{home}.log").read_text()
        return time.monotonic() - began

    def killed(self, home, stages, after_s):
        """Go on until so many stages are finished, and so long; say whether it had to be killed."""
        child = self.started(home)
        while _stage(self.place / home) < stages and _lives(child):
            time.sleep(0.02)
        time.sleep(after_s)
        with suppress(ProcessLookupError):  # it came to its end by itself
            os.kill(child, signal.SIGKILL)
        return self.ended() == -signal.SIGKILL


@pytest.fixture(scope="module")
def nursery(place):
    written_settings(place / "full.toml", place / "model", 5, **FULL)
    nursery = Nursery(place, "full.toml")
    yield nursery
    nursery.worker.communicate()


def _started(place, home):
    args = [APPRENTICE, "learn", "--config", place / "small.toml", "--home", place / home]
    path = os.pathsep.join(map(str, (place / "site", TESTS, TESTS.parent)))
    with (place / f"{home}.log").open("ab") as log:
        return subprocess.Popen(
            args, env=environment(PYTHONPATH=path), stdout=subprocess.DEVNULL, stderr=log
        )


def _killed(place, home, after_s):
    """Go on with the round, kill it some time after it began to work; say whether it had to be."""
    began = time.time()
    process = _started(place, home)
    while process.poll() is None and not _saved_since(began, place / home):
        time.sleep(0.02)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def _finished(home, rounds=1):
    """Return whether so many rounds are over: another start would begin the next one."""
    if not home.exists():
        return False
    with open_rounds(load({"home": home})) as kept:
        return len(kept.all()) == rounds and kept.unfinished() is None


def _rounds_finished(home):
    if not home.exists():
        return 0
    with open_rounds(load({"home": home})) as kept:
        return sum(each.finished is not None for each in kept.all())


def _stage(home):
    """Return how many stages of the last round are finished."""
    with open_rounds(load({"home": home})) as kept:
        return len(kept.reports(kept.all()[-1].id)) if kept.unfinished() else 0


def _lives(process):
    """Return whether a process is there and not only waited for."""
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return told.rpartition(")")[2].split()[0] != "Z"


def _saved_since(moment, home):
    saved = home.glob("round-*.sqlite*")
    return any(file.stat().st_mtime > moment for file in saved)


def _state(home):
    """Return all that the last round leaves behind but for what clocks said."""
    config = load({"home": home})
    with make_store(config) as store, make_bank(config) as bank, open_rounds(config) as rounds:
        round = rounds.all()[-1]
        assert round.finished is not None
        record = record_of(rounds.reports(round.id))
        items = [_timeless(item) for item in bank.items()]
        return {
            "episodes": {each.id: _bare(each) for each in store.episodes()},
            "logprobs": {each.id: _logprobs(each) for each in store.episodes()},
            "memories": items,
            "recalled": {
                each.id: [replace(use, at=NOON) for use in bank.recalled(each.id)]
                for each in store.episodes()
            },
            "verdict": _judgment(record.examine),
            "promoted": record.promote,
            "weights": {
                file.parent.name: load_file(file)
                for file in (home / "adapters").glob("*/model.safetensors")
            },
        }


def _judgment(examined):
    gated = examined.gated
    return gated.verdict, examined.level, gated.compared.pairs, gated.anchors.pairs


def _bare(episode):
    """Return an episode without clocks, and without logprobs, which rounding blurs."""
    steps = tuple(
        replace(step, completion=replace(step.completion, logprobs=())) for step in episode.steps
    )
    return replace(episode, steps=steps, started=NOON, seconds=0.0)


def _logprobs(episode):
    return [logprob for step in episode.steps for logprob in step.completion.logprobs]


def _timeless(item):
    told = asdict(item)
    del told["source"]["made"]
    return json.dumps(told, sort_keys=True, default=str)


def _assert_same(found, wanted):
    for what in ("episodes", "memories", "recalled", "verdict", "promoted"):
        assert found[what] == wanted[what], what
    for id, logprobs in wanted["logprobs"].items():
        assert found["logprobs"][id] == pytest.approx(logprobs, abs=1e-4), id
    assert found["weights"].keys() == wanted["weights"].keys()
    for name, tensors in wanted["weights"].items():
        for key, tensor in tensors.items():
            assert (tensor - found["weights"][name][key]).abs().max() <= 1e-6, (name, key)


def _kills(place, undisturbed, home, times, seed):
    wanted, seconds = undisturbed
    rng = Random(seed)
    longest = seconds / (times + 2)  # so that the last kill still finds something to disturb
    killed = 0
    for _ in range(times):
        if not _finished(place / home):
            killed += _killed(place, home, rng.uniform(0, longest))
    if not _finished(place / home):  # a machine that grew faster may be done before the last kill
        process = _started(place, home)
        assert process.wait() == 0, (place / f"{home}.log").read_text()
    _assert_same(_state(place / home), wanted)
    return killed


def test_a_round_killed_three_times_ends_as_if_it_had_not_been(place, undisturbed):
    assert _kills(place, undisturbed, "stormy", 3, seed=1) > 0


@pytest.mark.slow
def test_a_round_with_all_its_stages_killed_at_twenty_moments_ends_as_if_it_had_not_been(
    place, nursery
):
    """The second round of a home, so that there are memories to recall; again until 20 kills."""
    nursery.whole("first")
    copytree(place / "first", place / "second")
    seconds = nursery.whole("second")
    wanted = _state(place / "second")
    with open_rounds(load({"home": place / "second"})) as kept:
        last = len(kept.reports(kept.all()[-1].id)) - 1
    rng, disturbed = Random(20), list[int]()
    for storm in range(10):
        home = f"gale-{storm}"
        copytree(place / "first", place / home)
        while len(disturbed) < 20 and not _finished(place / home, rounds=2):
            # From a stage drawn by lot on: else all would fall into the two that take the longest.
            stages = rng.randint(_stage(place / home), last)
            if nursery.killed(home, stages, rng.uniform(0, seconds / 10)):
                disturbed.append(_stage(place / home))
        if not _finished(place / home, rounds=2):
            nursery.whole(home)
        _assert_same(_state(place / home), wanted)
        if len(disturbed) == 20:
            break
    print(f"finished stages at each kill: {disturbed}")  # noqa: T201 - for the log
    assert len(disturbed) == 20
    assert len(set(disturbed)) >= 4


@pytest.mark.slow
def test_rounds_killed_while_one_trains_and_the_next_is_practised_end_as_undisturbed(
    place,
):
    learn = FULL["learn"] | {"ahead": 1, "tasks": 3, "attempts": 4, "exam": 4}
    written_settings(place / "ahead.toml", place / "model", 5, **FULL | {"learn": learn})
    nursery = Nursery(place, "ahead.toml", rounds=2)
    nursery.whole("ahead")
    child = nursery.started("torn")
    while _made_ahead(place / "torn") < 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert nursery.ended() == -signal.SIGKILL
    with open_rounds(load({"home": place / "torn"})) as rounds:
        first, second = (record_of(rounds.reports(each.id)) for each in rounds.all())
    assert (first.distil, second.recall) == (None, None)
    assert _made_ahead(place / "torn") < len(second.ahead.attempts) == 12
    nursery.whole("torn")
    _assert_same(_state(place / "torn"), _state(place / "ahead"))
    with open_rounds(load({"home": place / "torn"})) as rounds:
        first, second = (record_of(rounds.reports(each.id)) for each in rounds.all())
    assert second.recall == second.ahead
    assert second.recall.policy == first.start.student
    nursery.worker.communicate()


def _made_ahead(home):
    """Return how many attempts of the second round are stored."""
    if not (home / "apprentice.sqlite").exists():
        return 0
    config = load({"home": home})
    with open_rounds(config) as rounds, make_store(config) as store:
        found = rounds.all()[1:]
        return store.count(run=practice_of(found[0].id)) if found else 0


@pytest.mark.slow
def test_rounds_killed_twenty_times_end_as_if_they_had_not_been(place, undisturbed):
    """Five rounds, four kills each: more would only kill the loading of the libraries."""
    killed = [_kills(place, undisturbed, f"storm-{n}", 4, seed=10 + n) for n in range(5)]
    assert sum(killed) >= 18
