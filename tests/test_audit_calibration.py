"""Calibration is read against what exact confidences would show."""

from itertools import product

import numpy as np
import pytest

from distill.audit.calibration import auroc, calibration, ece, null_eces


def rng(seed=0):
    return np.random.default_rng(seed)


def exact(count, seed):
    chance = rng(seed)
    confidence_N = chance.random(count)
    return confidence_N, chance.random(count) < confidence_N


def test_a_perfectly_calibrated_predictor_is_inside_the_null_band_nineteen_times_in_twenty():
    inside = []
    for seed in range(120):
        confidence_N, correct_N = exact(150, seed)
        high = np.quantile(null_eces(confidence_N, rng(seed), draws=400), 0.95)
        inside.append(ece(confidence_N, correct_N) <= high)
    assert 0.89 <= np.mean(inside) <= 0.99


@pytest.mark.parametrize(("count", "mean"), [(50, 0.1411), (200, 0.0697), (1000, 0.0310)])
def test_the_ece_of_a_perfect_predictor_is_not_zero(count, mean):
    values = [ece(*exact(count, seed)) for seed in range(200)]
    assert np.mean(values) == pytest.approx(mean, abs=0.004)
    assert null_eces(exact(count, 0)[0], rng(), 400).mean() == pytest.approx(mean, abs=0.01)


def test_constant_certainty_has_ece_and_brier_of_one_minus_accuracy():
    correct_N = np.arange(500) % 5 != 0
    found = calibration(np.ones(500), correct_N, rng())
    assert found.ece == pytest.approx(0.2)
    assert found.brier == pytest.approx(0.2)
    assert (found.distinct, found.auroc, found.calibrated) == (1, 0.5, False)
    assert found.resolution == pytest.approx(0)


def test_the_brier_score_decomposes_exactly():
    confidence_N, correct_N = exact(400, 3)
    found = calibration(confidence_N, correct_N, rng())
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert found.brier == pytest.approx(parts)
    assert found.brier == pytest.approx(((confidence_N - correct_N) ** 2).mean())
    tenths = calibration(np.floor(confidence_N * 10) / 10 + 0.05, correct_N, rng())
    assert tenths.within == pytest.approx(0, abs=1e-12)


def test_the_auroc_is_the_share_of_ordered_pairs():
    chance = rng(4)
    confidence_N = np.round(chance.random(60), 1)
    correct_N = chance.random(60) < 0.4
    pairs = list(product(confidence_N[correct_N], confidence_N[~correct_N]))
    expected = np.mean([(right > wrong) + 0.5 * (right == wrong) for right, wrong in pairs])
    assert auroc(confidence_N, correct_N) == pytest.approx(expected)
    assert auroc(confidence_N, np.ones(60, dtype=bool)) is None


def test_the_diagram_holds_every_answer_once():
    confidence_N, correct_N = exact(300, 5)
    found = calibration(confidence_N, correct_N, rng())
    assert sum(each.count for each in found.bins) == 300
    assert all(each.low <= each.confidence <= each.high for each in found.bins)
    assert all(each.accuracy in each.interval for each in found.bins)
    edges = calibration(np.array([0.0, 1.0]), np.array([False, True]), rng())
    assert [(each.low, each.count) for each in edges.bins] == [(0.0, 1), (0.9, 1)]


def test_confidences_outside_zero_to_one_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        ece(np.array([0.5, 90.0]), np.array([True, True]))
