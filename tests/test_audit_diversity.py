"""pass@k is unbiased, and a loss of diversity is seen."""

from itertools import combinations

import numpy as np
import pytest

from distill.audit.diversity import diversity, pass_all_k, pass_at_k, variety


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("solved", range(8))
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_pass_at_k_is_the_share_of_all_subsets(solved, k):
    attempts = [i < solved for i in range(7)]
    subsets = list(combinations(attempts, k))
    assert float(pass_at_k(7, solved, k)) == pytest.approx(np.mean([any(s) for s in subsets]))
    assert float(pass_all_k(7, solved, k)) == pytest.approx(np.mean([all(s) for s in subsets]))


def test_pass_at_one_is_the_share_solved_and_too_few_failures_always_pass():
    solved = np.arange(17)
    assert pass_at_k(16, solved, 1) == pytest.approx(solved / 16)
    assert float(pass_at_k(16, 13, 4)) == 1.0
    assert float(pass_at_k(1000, 3, 500)) == pytest.approx(0.875, abs=0.002)


def test_pass_at_k_is_unbiased_where_the_plug_in_is_not():
    solved = rng().binomial(16, 0.13, 100_000)
    truth = 1 - 0.87**4
    assert pass_at_k(16, solved, 4).mean() == pytest.approx(truth, abs=0.003)
    assert (1 - (1 - solved / 16) ** 4).mean() < truth - 0.02


def test_more_tries_than_attempts_are_refused():
    with pytest.raises(ValueError, match="k from 1 to 8 with 4 attempts"):
        pass_at_k(4, 2, np.array([1, 8]))


def test_a_sharpened_policy_falls_behind_at_large_k():
    chance = rng(1)
    base_rate = chance.beta(0.5, 1.5, 150)
    trained_rate = np.where(base_rate > 0.15, np.minimum(1, 2 * base_rate), 0.0)
    base, trained = chance.binomial(64, base_rate), chance.binomial(64, trained_rate)
    found = diversity(base, trained, 64, [1, 2, 4, 8, 16, 32, 64], rng())
    assert found.curve[0].gain > 0.05
    assert found.first_k_behind is not None
    assert found.surely_behind is not None
    assert found.first_k_behind <= found.surely_behind
    assert found.lost
    assert found.kept < 1
    assert found.curve[-1].base == pytest.approx(found.base_coverage)


def test_a_policy_that_only_gains_is_not_accused():
    chance = rng(2)
    rate = chance.beta(0.5, 1.5, 150)
    base, trained = chance.binomial(64, rate), chance.binomial(64, np.minimum(1, 1.3 * rate + 0.05))
    found = diversity(base, trained, 64, [1, 8, 64], rng())
    assert (found.first_k_behind, found.surely_behind, found.lost) == (None, None, False)


def test_the_same_policy_twice_is_hardly_ever_called_a_loss():
    lost = 0
    for seed in range(30):
        chance = rng(seed)
        rate = chance.beta(0.5, 1.5, 100)
        base, trained = chance.binomial(32, rate), chance.binomial(32, rate)
        lost += diversity(base, trained, 32, [1, 4, 16, 32], chance).lost
    assert lost / 30 <= 0.14


def test_variety_counts_and_weighs_the_distinct():
    found = variety(["a", "a", "b", "c"])
    assert (found.attempts, found.distinct) == (4, 3)
    assert found.entropy == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(4))
    assert variety(["a"] * 3).entropy == 0
    assert variety([]).distinct == 0
