"""A twin of a run keeps what it should keep, and its gain is held against the claim."""

import numpy as np
import pytest

from distill.audit.spurious import Reading, Twin, inverted, permuted, random, rewards, spurious


def rng(seed=0):
    return np.random.default_rng(seed)


REWARD_PN = (rng(1).random((40, 8)) < 0.3).astype(float)
WELL_FORMED_PN = rng(2).random((40, 8)) < 0.8


def test_permuted_rewards_stay_with_their_prompt_but_not_with_their_sample():
    twin_PN = permuted(REWARD_PN, rng())
    assert (np.sort(twin_PN, axis=1) == np.sort(REWARD_PN, axis=1)).all()
    assert (twin_PN != REWARD_PN).any()


def test_random_rewards_have_the_mean_and_the_range_of_the_true():
    large_PN = np.tile(REWARD_PN * 3 - 1, (200, 1))
    twin_PN = random(large_PN, rng())
    assert set(np.unique(twin_PN)) == {-1.0, 2.0}
    assert twin_PN.mean() == pytest.approx(large_PN.mean(), abs=0.03)
    assert abs(np.corrcoef(twin_PN.ravel(), large_PN.ravel())[0, 1]) < 0.02
    assert (random(np.ones((2, 3)), rng()) == 1).all()


def test_inverting_twice_gives_the_rewards_back():
    assert (inverted(inverted(REWARD_PN)) == REWARD_PN).all()
    assert (inverted(REWARD_PN) == 1 - REWARD_PN).all()


def test_every_twin_is_paid_for_what_its_name_says():
    paid = {twin: rewards(twin, REWARD_PN, WELL_FORMED_PN, rng()) for twin in Twin}
    assert (paid[Twin.TRUE] == REWARD_PN).all()
    assert (paid[Twin.FORMAT] == WELL_FORMED_PN).all()
    assert (paid[Twin.PERMUTED].sum(axis=1) == REWARD_PN.sum(axis=1)).all()
    assert (paid[Twin.INVERTED] + REWARD_PN == 1).all()


def arms(twin_gain, true_gain=0.3, tasks=200, seed=3):
    chance = rng(seed)
    none_P = chance.beta(2, 4, tasks) * 0.6
    noise = lambda: chance.normal(0, 0.05, tasks)  # noqa: E731 - a shorthand of three uses
    return none_P, none_P + twin_gain + noise(), none_P + true_gain + noise()


@pytest.mark.parametrize(
    ("twin_gain", "reading"),
    [(0.0, Reading.ACCEPT), (0.12, Reading.WARN), (0.25, Reading.REJECT), (-0.1, Reading.ACCEPT)],
)
def test_the_score_is_the_twins_share_of_the_gain(twin_gain, reading):
    found = spurious(*arms(twin_gain), rng())
    assert found.reading is reading
    assert found.score == pytest.approx(twin_gain / 0.3, abs=0.03)
    assert found.interval is not None
    assert found.score in found.interval
    assert found.twin_gain in found.twin_gain_interval


def test_the_interval_covers_the_true_score():
    covered = [
        1 / 3 in (spurious(*arms(0.1, tasks=60, seed=seed), rng(seed)).interval or ())
        for seed in range(60)
    ]
    assert np.mean(covered) >= 0.87


def test_without_a_true_gain_there_is_nothing_to_explain():
    found = spurious(*arms(0.1, true_gain=0.0), rng())
    assert (found.reading, found.interval) == (Reading.NO_GAIN, None)
    assert spurious(*arms(0.1, true_gain=-0.2), rng()).score is None
