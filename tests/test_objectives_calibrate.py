import math

import pytest
import torch

from distill.objectives.calibrate import (
    BRIER,
    SPHERICAL,
    Calibrated,
    CalibrationWeightsError,
    ScoringRule,
    lenient_confidence,
    stated_confidence,
)
from tensor_builders import FLOAT

GRID = torch.linspace(0, 1, 10_001, dtype=FLOAT)


def expected(reward, p, stated):
    """The mean reward of stating these confidences at success rate p."""
    right, wrong = torch.ones_like(stated), torch.zeros_like(stated)
    return p * reward(right, stated) + (1 - p) * reward(wrong, stated)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("rule", [BRIER, SPHERICAL], ids=["Brier", "spherical"])
def test_the_true_success_rate_is_the_best_confidence(rule, p):
    paid = expected(Calibrated(rule=rule), p, GRID)
    assert float(GRID[paid.argmax()]) == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.7])
def test_with_equal_weights_a_calibrated_answer_is_worth_p_squared_and_a_constant(p):
    best = float(expected(Calibrated(accuracy=1.0, score=1.0), p, GRID).max())
    assert best - 1 == pytest.approx(p * p, abs=1e-8)  # RLCR's reward has the score minus 1


@pytest.mark.parametrize(
    ("accuracy", "score", "least"), [(1, 1, 0.0), (1, 0.5, 0.5), (0.5, 0.5, 0)]
)
def test_a_better_answer_is_always_worth_more(accuracy, score, least):
    reward = Calibrated(accuracy=accuracy, score=score)
    value = torch.stack([expected(reward, p, p) for p in GRID[::10]])
    slope = value.diff() / (GRID[10] - GRID[0])
    assert float(slope.min()) == pytest.approx(least, abs=2e-3)


def test_weights_under_which_a_worse_answer_could_pay_cannot_be_built():
    with pytest.raises(
        CalibrationWeightsError, match=r"accuracy weight 0\.3 with Brier weight 0\.7"
    ):
        Calibrated(accuracy=0.3, score=0.7)
    with pytest.raises(CalibrationWeightsError):
        Calibrated(accuracy=1.0, score=-0.1)


def log_score(stated, correct):
    said = (correct * stated + (1 - correct) * (1 - stated)).clamp(min=1e-3)
    return said.log()


@pytest.mark.parametrize("rule", [BRIER, SPHERICAL], ids=["Brier", "spherical"])
def test_the_steepest_fall_of_a_rule_is_what_it_says(rule):
    p = GRID
    best = p * rule.score(p, torch.ones_like(p)) + (1 - p) * rule.score(p, torch.zeros_like(p))
    fall = -best.diff() / GRID[1]
    assert float(fall.max()) == pytest.approx(rule.steepest_fall, abs=1e-3)
    assert float(rule.score(p, torch.ones_like(p)).min()) >= 0
    assert float(rule.score(p, torch.ones_like(p)).max()) <= 1


def test_the_logarithmic_score_is_refused_at_any_weight():
    unbounded = ScoringRule("logarithmic", log_score, steepest_fall=math.inf)
    with pytest.raises(CalibrationWeightsError):
        Calibrated(accuracy=1.0, score=1e-6, rule=unbounded)


def test_under_the_logarithmic_score_most_answers_are_worth_less_than_a_wrong_one():
    p = torch.linspace(1e-9, 1 - 1e-9, 100_001, dtype=FLOAT)
    value = p + p * p.log() + (1 - p) * (1 - p).log()
    assert float(value.min()) == pytest.approx(-0.313, abs=1e-3)
    assert float(p[value.argmin()]) == pytest.approx(1 / (1 + math.e), abs=1e-3)
    assert float(p[value < 0].max()) == pytest.approx(0.648, abs=1e-3)


SUCCESS = torch.tensor([0.35, 0.20, 0.0], dtype=FLOAT)
TENTHS = torch.linspace(0, 1, 11, dtype=FLOAT)


def learned(reward):
    """The answer and confidence that an exact policy gradient over both ends with."""
    paid = torch.stack([expected(reward, p, TENTHS) for p in SUCCESS])
    logits = torch.zeros_like(paid)
    for _ in range(3000):
        policy = torch.softmax(logits.flatten(), 0).reshape(paid.shape)
        logits = logits + 6.6 * policy * (paid - (policy * paid).sum())
    return policy.sum(1), float(TENTHS[policy.sum(0).argmax()])


def test_brier_ends_calibrated_on_the_best_answer():
    answers, confidence = learned(Calibrated(accuracy=1.0, score=1.0))
    assert float(answers[0]) > 0.99
    assert confidence in (pytest.approx(0.3), pytest.approx(0.4))


def test_the_logarithmic_score_ends_on_a_deliberately_wrong_answer():
    liar = ScoringRule("logarithmic", log_score, steepest_fall=1.0)  # to be let in at all
    answers, confidence = learned(Calibrated(accuracy=1.0, score=1.0, rule=liar))
    assert float(answers[2]) > 0.99
    assert confidence == 0.0


def test_stating_no_confidence_is_never_the_way_out():
    none = torch.full((2,), torch.nan, dtype=FLOAT)
    correct = torch.tensor([1.0, 0.0], dtype=FLOAT)
    assert Calibrated()(correct, none).tolist() == [0.0, 0.0]
    assert float(Calibrated()(correct, 1 - correct).min()) >= 0  # as wrong as can be


@pytest.mark.parametrize(
    ("stated", "strict", "lenient"),
    [
        (".9", 0.9, 0.9),
        (" 0.25 ", 0.25, 0.25),
        ("1", 1.0, 1.0),
        ("0", 0.0, 0.0),
        ("90", None, 0.9),
        ("1.2", None, 0.012),
        ("101", None, 0.0),
        ("-0.5", None, 0.0),
        ("90%", None, 0.0),
        ("nan", None, 0.0),
        ("1e-1", None, 0.0),
        ("", None, 0.0),
    ],
)
def test_confidences_are_read_strictly_for_training_and_leniently_for_evaluation(
    stated, strict, lenient
):
    text = f"<answer>4</answer><confidence>{stated}</confidence>"
    assert stated_confidence(text) == strict
    assert lenient_confidence(text) == pytest.approx(lenient)


def test_the_last_confidence_counts_and_none_is_none():
    twice = "<confidence>0.9</confidence> or rather <confidence>0.4</confidence>"
    assert stated_confidence(twice) == 0.4
    assert stated_confidence("0.4") is None
    assert lenient_confidence("0.4") == 0.0
