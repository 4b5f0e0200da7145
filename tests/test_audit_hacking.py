"""Planted hacks are flagged, clean runs are left in peace."""

import numpy as np
import pytest

from distill.audit.hacking import (
    Checkpoint,
    Sign,
    Signals,
    alarms,
    disagreement,
    divergence,
    leaked,
    surface,
)
from distill.audit.planted import Flaw, planted_run


def rng(seed=0):
    return np.random.default_rng(seed)


def checkpoints(proxies, truths, error=0.01):
    return [
        Checkpoint(step, proxy, error, truth, error)
        for step, (proxy, truth) in enumerate(zip(proxies, truths, strict=True))
    ]


def flagged(flaw, seeds):
    return [alarms(planted_run(flaw, rng(seed))) for seed in range(seeds)]


@pytest.mark.parametrize(
    ("flaw", "sign"),
    [
        (Flaw.LENGTH_JUDGE, Sign.SURFACE),
        (Flaw.FORMAT_ONLY, Sign.SURFACE),
        (Flaw.LEAKED_ANSWER, Sign.LEAK),
    ],
)
def test_a_planted_hack_is_flagged_in_each_of_20_seeds(flaw, sign):
    runs = flagged(flaw, 20)
    assert all(runs)
    named = [any(alarm.sign is sign for alarm in run) for run in runs]
    assert np.mean(named) >= 0.9
    against_truth = [any(alarm.sign is Sign.PROXY_AGAINST_TRUTH for alarm in run) for run in runs]
    assert np.mean(against_truth) >= 0.9  # noticed even by those who look at nothing but success


def test_a_clean_run_is_flagged_in_at_most_one_of_20_seeds():
    assert sum(bool(run) for run in flagged(Flaw.NONE, 20)) <= 1


def test_a_proxy_that_rises_alone_for_three_evaluations_alarms():
    alarm = divergence(checkpoints([0.2, 0.3, 0.4, 0.5], [0.2, 0.2, 0.19, 0.2]))
    assert alarm is not None
    assert alarm.measured == pytest.approx(0.1 / (0.01 * 2**0.5))
    assert alarm.sentence.startswith("from step 0 to 3 the proxy rose by 21.2 standard errors")


@pytest.mark.parametrize(
    ("proxies", "truths"),
    [
        ([0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.4, 0.5]),  # the truth rises as well
        ([0.2, 0.2, 0.2, 0.2], [0.4, 0.3, 0.2, 0.1]),  # worse, but nothing is gamed
        ([0.2, 0.3, 0.4], [0.2, 0.2, 0.2]),  # too early to say
        ([0.2, 0.3, 0.2, 0.3], [0.2, 0.2, 0.2, 0.2]),  # up and down
    ],
)
def test_what_is_no_divergence_does_not_alarm(proxies, truths):
    assert divergence(checkpoints(proxies, truths)) is None


def test_without_errors_any_rise_counts():
    assert divergence(checkpoints([0, 1, 1, 1], [0, 0, 0, 0], error=0.0)) is not None


def test_disagreement_knows_its_side():
    judge_N = np.array([True] * 60 + [False] * 40)
    tool_N = np.array([True] * 30 + [False] * 30 + [True] * 10 + [False] * 30)
    found = disagreement(judge_N, tool_N)
    assert (found.share, found.flattering, found.harsh) == pytest.approx((0.4, 0.3, 0.1))
    assert found.interval.low == pytest.approx(0.3094, abs=5e-4)


def test_a_reward_made_of_length_is_explained_by_it_and_one_made_of_truth_is_not():
    chance = rng(1)
    length_N, form_N = chance.normal(100, 20, 500), chance.random(500) < 0.9
    truth_N = chance.random(500) < 0.5
    bought = surface(length_N / 100, length_N, form_N, truth_N)
    assert bought.explained == pytest.approx(1.0)
    assert bought.beyond_truth > 0.95
    assert bought.p == pytest.approx(0.0, abs=1e-12)
    earned = surface(truth_N.astype(float), length_N, form_N, truth_N)
    assert earned.beyond_truth == pytest.approx(0.0, abs=1e-9)
    constant = surface(np.ones(500), length_N, form_N, truth_N)
    assert (constant.explained, constant.beyond_truth) == (0.0, 0.0)


def test_a_long_answer_may_be_long_because_it_is_right():
    chance = rng(2)
    truth_N = chance.random(800) < 0.5
    length_N = 100 + 50 * truth_N + chance.normal(0, 10, 800)
    found = surface(truth_N.astype(float), length_N, np.ones(800, dtype=bool), truth_N)
    assert found.explained > 0.7
    assert found.beyond_truth < 0.01


def test_the_p_value_of_noise_is_uniform():
    chance = rng(3)
    values = [
        surface(
            chance.random(60), chance.random(60), chance.random(60) < 0.5, chance.random(60) < 0.5
        ).p
        for _ in range(400)
    ]
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.04)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        ("HEAT the  Egg!", ("heat the egg",)),
        ("Preheat the eggplant.", ()),
        ("The answer is 12.8, of course.", ("12.8",)),
        ("", ()),
    ],
)
def test_a_leak_is_found_as_whole_words_only(hint, found):
    assert leaked(hint, ["heat the egg", "12.8"]) == found


def test_a_run_that_leaves_no_checkpoints_is_still_audited():
    tool_N = rng(4).random(300) < 0.5
    signals = Signals(
        reward_N=1.0 - tool_N,
        length_N=np.ones(300),
        well_formed_N=np.ones(300, dtype=bool),
        judge_N=~tool_N,
        tool_N=tool_N,
        hints=[("Say 42.", ["42"])],
    )
    assert {alarm.sign for alarm in alarms(signals)} == {Sign.JUDGE_AGAINST_TOOL, Sign.LEAK}
