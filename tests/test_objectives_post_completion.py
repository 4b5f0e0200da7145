from dataclasses import replace

import pytest
import torch

from distill.objectives.imitate import imitate
from distill.objectives.objective import combined
from distill.objectives.post_completion import (
    answering,
    report_reward,
    reporting,
    reporting_at,
    split_credit,
)
from distill.objectives.reinforce import reinforce, unclipped
from distill.sequences.batch import Logprobs
from tensor_builders import FLOAT, a_batch, gradient, randn

MARKER = 9
TOKENS = torch.tensor([[1, MARKER, 2, 3, 4], [9, 1, MARKER, MARKER, 5], [1, 2, 3, 4, 5]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]).bool()


def a_reported_batch():
    taken = (-randn(3, 5, seed=0).abs()).requires_grad_()
    return taken, a_batch(taken, tokens_BT=TOKENS, mask_BT=MASK)


def test_the_report_begins_after_the_first_marker_that_the_policy_wrote():
    _, batch = a_reported_batch()
    expected = [[0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]
    assert reporting_at(batch, MARKER).int().tolist() == expected


def test_learning_to_report_does_not_touch_the_answer_nor_the_other_way_round():
    taken, batch = a_reported_batch()
    report = reporting_at(batch, MARKER)
    for objective, trained in (
        (reporting(imitate, marker=MARKER), report),
        (answering(imitate, marker=MARKER), MASK & ~report),
    ):
        slope = gradient(objective(Logprobs(taken_BT=taken), batch), taken)
        torch.testing.assert_close(slope, -trained.to(FLOAT) / trained.sum())


def test_answers_and_reports_together_are_the_whole():
    taken, batch = a_reported_batch()
    report = reporting_at(batch, MARKER)
    share = float((MASK & report).sum()) / float(MASK.sum())
    parts = combined(
        (1 - share, answering(imitate, marker=MARKER)), (share, reporting(imitate, marker=MARKER))
    )
    words = Logprobs(taken_BT=taken)
    torch.testing.assert_close(parts(words, batch), imitate(words, batch))


def test_a_report_is_paid_for_each_reward_it_foresees():
    stated = torch.tensor([[0.8, 1.0], [0.5, torch.nan], [0.0, 0.0]], dtype=FLOAT)
    actual = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]], dtype=FLOAT)
    assert report_reward(stated, actual).tolist() == [
        pytest.approx((0.96 + 1) / 2),
        pytest.approx(0.75 / 2),
        pytest.approx(0.5),
    ]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_no_constant_report_beats_the_true_rate(p):
    grid = torch.linspace(0, 1, 101, dtype=FLOAT).unsqueeze(1)
    right, wrong = torch.ones_like(grid), torch.zeros_like(grid)
    paid = p * report_reward(grid, right) + (1 - p) * report_reward(grid, wrong)
    assert float(grid[paid.argmax()]) == pytest.approx(p)


def test_a_report_about_another_answer_pays_less():
    actual = torch.tensor([[1.0], [0.0], [1.0], [0.0]], dtype=FLOAT)
    honest = 0.1 + 0.8 * actual
    assert report_reward(honest, actual).mean() > report_reward(honest.roll(1, 0), actual).mean()


SUCCESS = torch.tensor([0.35, 0.20, 0.0], dtype=FLOAT)
STATED = torch.linspace(0, 1, 21, dtype=FLOAT)


def brier_score(p, stated):
    return p * (1 - (1 - stated) ** 2) + (1 - p) * (1 - stated**2)


def log_score(p, stated):
    stated = stated.clamp(1e-3, 1 - 1e-3)
    return p * stated.log() + (1 - p) * (1 - stated).log()


def next_answers(score, *, split: bool):
    """The order of preference among answers after one exact step of a policy that reports well."""
    answer, report = torch.cartesian_prod(torch.arange(3), torch.arange(21)).T
    logits = torch.zeros(3, dtype=FLOAT, requires_grad=True)
    said = torch.log_softmax(logits, -1)[answer]
    honest = torch.log_softmax(-1e3 * (STATED[report] - SUCCESS[answer]).reshape(3, 21) ** 2, -1)
    taken = torch.stack([said, torch.zeros_like(said), honest.flatten()], 1)
    tokens = torch.stack([answer, torch.full_like(answer, 99), report], 1)
    batch = a_batch(taken, tokens_BT=tokens, weight_B=taken.detach().sum(1).exp())
    right, foreseen = SUCCESS[answer], score(SUCCESS[answer], STATED[report])
    own = split_credit(right, foreseen, reporting_at(batch, 99))
    shared = (right + foreseen).unsqueeze(1).expand(-1, 3)
    batch = replace(batch, advantage_BT=own if split else shared)
    slope = gradient(reinforce(unclipped)(Logprobs(taken_BT=taken), batch), logits)
    return slope.argsort().tolist()


@pytest.mark.parametrize(
    ("score", "split", "order"),
    [
        (brier_score, True, [0, 1, 2]),
        (brier_score, False, [0, 1, 2]),
        (log_score, True, [0, 1, 2]),
        (log_score, False, [2, 0, 1]),  # to fail for certain is easiest to foresee
    ],
    ids=["Brier, split", "Brier, shared", "log, split", "log, shared"],
)
def test_an_answer_credited_for_itself_never_becomes_worse_to_be_foreseen(score, split, order):
    assert next_answers(score, split=split) == order
