"""Preferring the better of two steps, held to closed forms on vocabularies of two words."""

import math
from dataclasses import replace

import pytest
import torch

from distill.objectives.preference import TornPairError, prefer
from distill.sequences.batch import Logprobs, MissingScoresError, Targets, cut
from tensor_builders import (
    FLOAT,
    a_batch,
    assert_close,
    gradient,
    randn,
)

BETA = 0.3


def preferences(ours_BT, reference_BT, **changes):
    """Return a batch of pairs, rows 0 and 1 a pair, 2 and 3 the next; the first is the better."""
    rows, _ = ours_BT.shape
    side_B = torch.tensor([1.0, -1.0], dtype=FLOAT).repeat(rows // 2)
    mask_BT = changes.get("mask_BT", torch.ones(ours_BT.shape, dtype=torch.bool))
    words = Targets(known_BT=mask_BT, logp_BT=reference_BT)
    advantage = side_B[:, None] * mask_BT
    return a_batch(ours_BT, reference=words, advantage_BT=advantage, **changes)


def loss(ours_BT, batch, beta=BETA):
    return prefer(beta)(Logprobs(taken_BT=ours_BT), batch)


def test_at_the_reference_the_loss_is_log_2_whatever_is_preferred():
    reference_BT = randn(4, 3, seed=1)
    assert_close(loss(reference_BT, preferences(reference_BT, reference_BT)), math.log(2))


def test_the_loss_and_its_gradient_are_those_of_the_paper():
    ours_BT = randn(2, 3, seed=2).requires_grad_()
    reference_BT = randn(2, 3, seed=3)
    ours = loss(ours_BT, preferences(ours_BT, reference_BT))
    better, worse = (ours_BT.detach() - reference_BT).sum(1).tolist()
    off = 1 / (1 + math.exp(BETA * (better - worse)))  # sigmoid of the implicit reward, wrong
    assert_close(ours.detach(), -math.log(1 - off))
    slopes = torch.tensor([[-BETA * off], [BETA * off]], dtype=FLOAT).expand(2, 3)
    assert_close(gradient(ours, ours_BT), slopes)


@pytest.mark.parametrize("preferred", [0.6, 0.9])
def test_at_the_optimum_the_policy_is_the_reference_tilted_by_the_log_odds_over_beta(preferred):
    """Bradley and Terry: pi_1 / pi_2 = ref_1 / ref_2 (p / (1 - p)) ** (1 / beta)."""
    reference_V = torch.log_softmax(randn(2, seed=4), 0)
    odds = math.log(preferred / (1 - preferred))
    logits_V = reference_V.clone()
    logits_V[0] += odds / BETA
    logits_V.requires_grad_()
    policy_V = torch.log_softmax(logits_V, 0)
    # Word 0 was preferred in a share of the pairs and word 1 in the rest of them.
    taken_BT = policy_V[[0, 1, 1, 0]].unsqueeze(1)
    weight_B = torch.tensor([preferred, preferred, 1 - preferred, 1 - preferred], dtype=FLOAT)
    batch = preferences(taken_BT, reference_V[[0, 1, 1, 0]].unsqueeze(1), weight_B=weight_B)
    assert_close(gradient(loss(taken_BT, batch), logits_V), torch.zeros(2))


def test_what_was_not_decided_does_not_count_not_even_a_nan():
    ours_BT, reference_BT = randn(2, 3, seed=5), randn(2, 3, seed=6)
    mask_BT = torch.tensor([[False, True, True], [False, True, False]])
    masked = preferences(
        ours_BT.masked_fill(~mask_BT, math.nan),
        reference_BT.masked_fill(~mask_BT, math.nan),
        mask_BT=mask_BT,
    )
    clean = preferences(ours_BT * mask_BT, reference_BT * mask_BT)
    assert_close(
        loss(ours_BT.masked_fill(~mask_BT, math.nan), masked), loss(ours_BT * mask_BT, clean)
    )


def test_the_parts_of_a_step_add_up_to_the_whole():
    ours_BT, reference_BT = randn(6, 2, seed=7), randn(6, 2, seed=8)
    weight_B = torch.tensor([1, 1, 2, 2, 0.5, 0.5], dtype=FLOAT)
    batch = preferences(ours_BT, reference_BT, weight_B=weight_B)
    parts = [loss(ours_BT[a:b], cut(batch, a, b)) for a, b in ((0, 2), (2, 6))]
    assert_close(torch.stack(parts).sum(), loss(ours_BT, batch))


def test_the_order_of_the_rows_makes_no_difference():
    ours_BT, reference_BT = randn(4, 2, seed=9), randn(4, 2, seed=10)
    batch = preferences(ours_BT, reference_BT)
    order = torch.tensor([3, 0, 2, 1])
    moved = replace(
        batch,
        advantage_BT=batch.advantage_BT[order],
        group_B=batch.group_B[order],
        reference=Targets(known_BT=batch.mask_BT, logp_BT=reference_BT[order]),
    )
    assert_close(loss(ours_BT[order], moved), loss(ours_BT, batch))


def test_a_pair_that_is_torn_apart_is_an_error_that_says_what_to_do():
    ours_BT = randn(4, 2, seed=11)
    batch = preferences(ours_BT, ours_BT)
    with pytest.raises(TornPairError, match="raise `part_tokens`"):
        loss(ours_BT[:3], cut(batch, 0, 3))


def test_without_a_reference_it_says_what_is_missing():
    ours_BT = randn(2, 2, seed=12)
    with pytest.raises(MissingScoresError, match="reference"):
        loss(ours_BT, replace(preferences(ours_BT, ours_BT), reference=None))
