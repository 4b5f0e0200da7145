"""The generation-verification gap agrees with its closed forms and with the worked example."""

import numpy as np
import pytest

from distill.audit.gap import (
    at_least,
    best,
    measure,
    order_bias,
    soft,
    together,
    tournament,
)
from distill.audit.simulate import World, binary_gap, sampled_gap, self_improvement


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_papers_worked_example():
    utility_PN = np.array([[1, 1, 0, 1, 0.0]])
    score_PN = np.array([[1, 1, 0, 0, 1.0]])
    found = measure(utility_PN, at_least(0.5)(score_PN), rng())
    assert found.accuracy == pytest.approx(0.6)
    assert found.filtered == pytest.approx(2 / 3)
    assert found.gap == pytest.approx(0.0667, abs=5e-5)
    assert found.relative == pytest.approx(1 / 6)
    assert (found.accept_rate, found.effective_samples) == (pytest.approx(0.6), pytest.approx(3))
    assert found.true_positive_rate == pytest.approx(2 / 3)
    assert found.false_positive_rate == pytest.approx(1 / 2)
    assert found.update_error(0.6) == pytest.approx(1 / 15)
    assert not found.enough


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("a", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("b", [0.0, 0.3, 0.9])
def test_a_yes_no_verifier_has_the_closed_form_and_the_covariance_form(rate, a, b):
    utility_PN = np.repeat((np.arange(10) < round(10 * rate)).astype(float)[None], 2, axis=0)
    weight_PN = np.where(utility_PN == 1, a, b)
    found = measure(utility_PN, weight_PN, rng())
    closed = binary_gap(rate, a, b)
    covariance = np.cov(weight_PN[0], utility_PN[0], bias=True)[0, 1] / weight_PN[0].mean()
    assert found.gap == pytest.approx(closed, abs=1e-12)
    assert found.gap == pytest.approx(covariance, abs=1e-12)
    assert found.relative == pytest.approx(closed / (1 - rate), abs=1e-12)
    assert np.sign(round(found.gap, 12)) == np.sign(a - b)


def test_the_values_of_the_closed_form():
    expected = {(0.9, 0.9): 0, (0.9, 0.3): 0.2182, (0.3, 0.9): -0.2667, (1, 0): 0.4}
    for (a, b), gap in expected.items():
        assert binary_gap(0.6, a, b) == pytest.approx(gap, abs=5e-5)


@pytest.mark.parametrize(("samples", "mean"), [(4, 0.2096), (8, 0.2181), (32, 0.2182)])
def test_few_samples_bias_the_gap_by_exactly_the_derived_amount(samples, mean):
    assert sampled_gap(0.6, 0.9, 0.3, samples) == pytest.approx(mean, abs=5e-5)
    chance = rng(samples)
    utility_PN = (chance.random((4000, samples)) < 0.6).astype(float)
    kept_PN = chance.random(utility_PN.shape) < np.where(utility_PN == 1, 0.9, 0.3)
    found = measure(utility_PN, kept_PN.astype(float), rng())
    assert found.gap == pytest.approx(mean, abs=0.012)
    assert mean in found.gap_interval


def test_the_relative_gap_is_a_mean_of_ratios():
    utility_PN = np.zeros((2, 100))
    utility_PN[0, :50] = utility_PN[1, :99] = 1
    found = measure(utility_PN, np.where(utility_PN == 1, 0.9, 0.3), rng())
    assert found.relative == pytest.approx(0.5822, abs=5e-5)


def test_empty_and_perfect_prompts_are_counted_and_do_no_harm():
    utility_PN = np.array([[1, 1.0], [0, 1], [0, 1]])
    weight_PN = np.array([[1, 1.0], [0, 0], [0, 1]])
    found = measure(utility_PN, weight_PN, rng())
    assert (found.empty, found.perfect) == (1, 1)
    assert found.gap == pytest.approx(0.5 / 3)
    assert found.relative == pytest.approx((0 + 1) / 2)
    perfect = measure(np.ones((4, 8)), np.ones((4, 8)), rng())
    assert np.isnan(perfect.relative)
    assert perfect.relative_interval is None
    assert np.isnan(perfect.false_positive_rate)


def test_the_interval_covers_the_true_gap_over_prompts():
    covered = []
    for seed in range(60):
        chance = rng(seed)
        rate_P1 = chance.beta(2, 2, size=(60, 1))
        utility_PN = (chance.random((60, 64)) < rate_P1).astype(float)
        kept_PN = chance.random((60, 64)) < np.where(utility_PN == 1, 0.8, 0.4)
        found = measure(utility_PN, kept_PN.astype(float), chance)
        grid = (np.arange(2000) + 0.5) / 2000
        density = grid * (1 - grid)
        truth = np.average([binary_gap(p, 0.8, 0.4) for p in grid], weights=density)
        covered.append(truth in found.gap_interval)
    assert np.mean(covered) >= 0.85


def test_quantile_rules_do_not_mind_the_scale_of_the_scores():
    score_PN = rng().normal(size=(20, 32))
    assert (best(0.2)(score_PN) == best(0.2)(np.exp(3 * score_PN) + 7)).all()
    assert best(0.2)(score_PN).sum(axis=1).tolist() == [7.0] * 20
    assert best(0.01)(score_PN).sum() == 20


def test_soft_weights_are_a_self_normalized_estimate():
    score_PN = rng().normal(size=(3, 40))
    utility_PN = (rng(1).random((3, 40)) < 0.5).astype(float)
    found = measure(utility_PN, soft(0.5)(score_PN), rng())
    weight_PN = np.exp(score_PN / 0.5)
    expected = (weight_PN * utility_PN).sum(axis=1) / weight_PN.sum(axis=1)
    assert found.filtered == pytest.approx(expected.mean())
    assert found.effective_samples < 40


def test_two_verifiers_with_separate_errors_beat_each_alone():
    chance = rng(2)
    utility_PN = (chance.random((300, 64)) < 0.5).astype(float)
    votes = [
        (chance.random((300, 64)) < np.where(utility_PN == 1, 0.8, 0.4)).astype(float)
        for _ in range(2)
    ]
    alone = [measure(utility_PN, vote, rng()).gap for vote in votes]
    joined = measure(utility_PN, together(votes), rng()).gap
    assert joined > max(alone) + 0.05
    assert joined == pytest.approx(binary_gap(0.5, 0.64, 0.16), abs=0.01)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_a_tournament_with_an_oracle_finds_any_right_answer_in_its_group(rounds):
    chance = rng(rounds)
    utility_PN = (chance.random((3000, 16)) < 0.3).astype(float)
    beats_PNN = utility_PN[:, :, None] >= utility_PN[:, None, :]
    found = measure(utility_PN, tournament(beats_PNN, rounds, chance), rng())
    assert found.filtered == pytest.approx(1 - 0.7 ** (2**rounds), abs=0.02)


def test_a_tournament_by_coin_has_no_gap():
    chance = rng(9)
    utility_PN = (chance.random((2000, 16)) < 0.4).astype(float)
    beats_PNN = chance.random((2000, 16, 16)) < 0.5
    found = measure(utility_PN, tournament(beats_PNN, 2, chance), rng())
    assert 0 in found.gap_interval
    assert abs(found.gap) < 0.02


def test_position_bias_is_measured_in_both_orders():
    fair_NN = np.subtract.outer(np.arange(6), np.arange(6)) > 0
    fair = order_bias(np.repeat(fair_NN[None], 4, axis=0))
    assert (fair.first, fair.agreement) == (0.5, 1.0)
    first = order_bias(np.ones((4, 6, 6), dtype=bool))
    assert (first.first, first.agreement) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("world", "accuracies", "gaps", "diversity"),
    [
        (World.GOLD, (0.552, 1.0, 1.0), (0.448, 0.0), (0.9966, 1.0)),
        (World.SYMMETRIC, (0.552, 0.920, 0.989), (0.086, 0.025), (0.9966, 1.0)),
        (World.SYSTEMATIC, (0.552, 0.729, 0.707), (0.079, -0.001), (0.9966, 0.9541)),
        (World.NO_SIGNAL, (0.552, 0.416, 0.316), (-0.010, -0.024), (0.9966, 0.754)),
    ],
)
def test_iterated_self_improvement_has_its_four_regimes(world, accuracies, gaps, diversity):
    models = list(self_improvement(world, 12, 3000, rng()))
    assert [models[t].accuracy for t in (0, 6, 11)] == pytest.approx(accuracies, abs=0.01)
    assert [models[t].gap for t in (0, 6)] == pytest.approx(gaps, abs=0.003)
    assert [models[t].pass_at(128) for t in (0, 11)] == pytest.approx(diversity, abs=0.01)


def test_training_gains_exactly_the_gap():
    before, after = self_improvement(World.SYSTEMATIC, 2, 500, rng(3))
    assert after.accuracy - before.accuracy == pytest.approx(before.gap)
