"""A promoted policy is held to what its exam promised, and withdrawn only where it surely fails."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from apprentice.build import make_store
from apprentice.commands.run import new_run
from apprentice.gate.promises import Promise, conditions, read_promise, write_promise
from apprentice.gate.rollback import held_to, watch_over
from apprentice.settings.config import Config, load
from environments.episode import Ending, Split
from memory.proof.intervals import wilson
from memory.proof.proof import Outcome
from store_worker import an_episode

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LEVEL = Config().gate.rollback


def a_promise(solved=30, tasks=40, **changes):
    low, high = wilson(solved / tasks, tasks).tolist()
    plain = {
        "adapter": "walker", "incumbent": "local:tiny@base", "outcome": Outcome.PROMOTE,
        "sentence": "promote", "level": 0.05, "solved": solved, "tasks": tasks, "low": low,
        "high": high, "conditions": "", "round": "round-1", "judged": NOON,
    }  # fmt: skip
    return Promise(**{**plain, **changes})


def _withdrawn_after(promise, outcomes):
    """Return after how many episodes it is withdrawn, looked at after each; None: never."""
    looks = range(1, len(outcomes) + 1)
    return next((n for n in looks if held_to(promise, outcomes[:n], LEVEL).broken), None)


@pytest.mark.parametrize("solved", [8, 20, 30, 39])
def test_a_sabotaged_policy_is_withdrawn_within_sixty_episodes(solved):
    found = _withdrawn_after(a_promise(solved), [False] * 60)
    assert found is not None
    assert found <= 60


def test_a_policy_that_lost_half_of_its_ability_is_withdrawn_within_sixty_episodes_mostly():
    rng = np.random.default_rng(5)
    promise = a_promise(34)
    fired = [
        _withdrawn_after(promise, (rng.random(60) < 0.42).tolist()) is not None for _ in range(50)
    ]
    assert sum(fired) >= 47


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.85])
def test_an_equal_policy_is_withdrawn_at_most_twice_in_a_hundred_however_often_one_looks(rate):
    rng = np.random.default_rng(7)
    fired = 0
    for _ in range(100):
        promise = a_promise(int(rng.binomial(40, rate)))
        fired += _withdrawn_after(promise, (rng.random(100) < rate).tolist()) is not None
    assert fired <= 2


def test_a_promise_of_nothing_cannot_be_broken():
    assert not held_to(a_promise(0), [False] * 1000, LEVEL).broken


@pytest.fixture
def acting(tmp_path):
    """Return settings under which the adapter `walker` acts, promoted after `runner`."""
    config = load({"home": tmp_path, "policy": {"use": "local:tiny@walker"}})
    for name in ("runner", "walker"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
        (tmp_path / "adapters" / name / "lineage.json").write_text("{}")
    (tmp_path / "adapters" / "current.json").write_text('{"promoted": ["runner", "walker"]}')
    write_promise(config, a_promise(conditions=conditions(config)))
    return config


def _lived(config, store, solved, failed, *, name="r", days=1):
    """Keep a run with so many episodes."""
    run = replace(
        new_run(config, Split.TRAIN, solved + failed), id=name, started=NOON + timedelta(days=days)
    )
    store.begin_run(run)
    ends = [Ending.SOLVED] * solved + [Ending.FAILED] * failed
    store.add_all(
        an_episode(f"{name}{number:03}", ending=end, run=name) for number, end in enumerate(ends)
    )


def test_the_adapter_before_acts_again_once_the_promise_is_broken(acting):
    with make_store(acting) as store:
        _lived(acting, store, 30, 10, name="fine")
        kept = watch_over(acting, store)
        assert (kept.solved, kept.failed, kept.broken) == (30, 10, False)
        _lived(acting, store, 0, 60, name="gone")
        broken = watch_over(acting, store)
        assert broken.broken
        pointer = json.loads((acting.home / "adapters" / "current.json").read_text())
        assert pointer == {"promoted": ["runner"]}
        assert read_promise(acting, "walker").withdrawn == broken.sentence
        assert watch_over(acting, store) is None  # who acts now promised nothing


def test_only_runs_since_the_exam_and_under_its_conditions_count(acting):
    hot = acting.policy.model_copy(update={"temperature": 1.0})
    other = acting.policy.model_copy(update={"use": "local:tiny@runner"})
    with make_store(acting) as store:
        _lived(acting, store, 0, 60, name="before", days=-1)
        _lived(acting.model_copy(update={"policy": hot}), store, 0, 60, name="hot")
        _lived(acting.model_copy(update={"policy": other}), store, 0, 60, name="other")
        kept = watch_over(acting, store)
    assert (kept.solved, kept.failed) == (0, 0)
    assert kept.evidence == pytest.approx(1.0)


def test_a_run_that_another_version_kept_says_nothing(acting):
    with make_store(acting) as store:
        _lived(acting, store, 30, 10)
        (run,) = store.runs(1)
        told = json.loads(run.settings) | {"sorcery": {"on": True}}
        store.begin_run(replace(run, id="old", settings=json.dumps(told)))
        store.add_all(an_episode(f"old{n}", ending=Ending.FAILED, run="old") for n in range(60))
        kept = watch_over(acting, store)
    assert (kept.solved, kept.failed) == (30, 10)


def test_nobody_is_watched_over_at_level_zero(acting):
    gate = acting.gate.model_copy(update={"rollback": 0.0})
    with make_store(acting) as store:
        assert watch_over(acting.model_copy(update={"gate": gate}), store) is None
