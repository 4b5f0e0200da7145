import math

import pytest
import torch

from distill.objectives.reinforce import reinforce, unclipped
from distill.sequences.batch import Logprobs
from distill.teaching.advantage import (
    centered,
    group_mean,
    negative_only,
    over_tokens,
    over_turns,
    per_turn,
    positive_only,
    standardized,
    uniform,
    weighted,
)
from tensor_builders import (
    FLOAT,
    assert_close,
    each_token,
    gradient,
    randn,
)

ONE_GROUP = torch.zeros(8, dtype=torch.long)
THREE_OF_EIGHT = torch.tensor([1.0] * 3 + [0.0] * 5, dtype=FLOAT)


def test_successes_and_failures_get_their_closed_form():
    p = 3 / 8
    advantage = standardized(THREE_OF_EIGHT, ONE_GROUP, correction=0)
    assert_close(advantage[0], math.sqrt((1 - p) / p), atol=1e-5, rtol=0)
    assert_close(advantage[-1], -math.sqrt(p / (1 - p)), atol=1e-5, rtol=0)


def test_the_samples_deviation_shrinks_them_by_a_known_factor():
    population = standardized(THREE_OF_EIGHT, ONE_GROUP, correction=0)
    sample = standardized(THREE_OF_EIGHT, ONE_GROUP)
    assert_close(sample, population * math.sqrt(7 / 8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("advantage", [centered, standardized])
def test_advantages_of_a_group_sum_to_zero_and_groups_do_not_mix(advantage):
    reward, group = randn(9, seed=0), torch.tensor([2, 0, 0, 2, 1, 1, 0, 2, 2])
    together = advantage(reward, group)
    assert_close(group_mean(together, group), torch.zeros(9))
    alone = advantage(reward[group == 2], torch.zeros(4, dtype=torch.long))
    assert_close(together[group == 2], alone)


def test_a_refinement_among_seven_failures_lowers_each_of_them_by_an_eighth():
    reward = torch.tensor([0.0] * 7 + [1.0], dtype=FLOAT)
    assert_close(centered(reward, ONE_GROUP), [-1 / 8] * 7 + [7 / 8])


def test_a_refinement_among_seven_successes_teaches_nothing():
    assert_close(centered(torch.ones(8, dtype=FLOAT), ONE_GROUP), torch.zeros(8))


@pytest.mark.parametrize("advantage", [centered, standardized])
@pytest.mark.parametrize(
    ("reward", "group"),
    [([], []), ([0.7], [0]), ([0.1, 0.1, 0.1], [0, 0, 0]), ([2.0, 3.0], [0, 5])],
    ids=["no attempt", "one attempt", "all rewards equal", "empty groups between"],
)
def test_a_group_without_comparison_gets_zero(advantage, reward, group):
    ours = advantage(torch.tensor(reward, dtype=FLOAT), torch.tensor(group, dtype=torch.long))
    assert_close(ours, torch.zeros(len(reward)), atol=1e-9, rtol=0)


def test_groups_that_teach_nothing_are_found():
    reward = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.5])
    group = torch.tensor([0, 0, 1, 1, 2])
    assert uniform(reward, group).tolist() == [True, True, False, False, True]
    assert uniform(reward[:0], group[:0]).tolist() == []


def test_turns_are_compared_among_the_attempts_that_reached_them():
    reward = torch.tensor([[1.0, 4.0, 9.0], [3.0, 8.0, torch.nan], [5.0, 1.0, 1.0]], dtype=FLOAT)
    reached = torch.tensor([[True, True, True], [True, True, False], [True, True, False]])
    group = torch.tensor([0, 0, 1])
    ours = per_turn(centered)(reward, reached, group)
    assert_close(ours, [[-1.0, -2.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])


def test_one_turn_per_attempt_is_the_plain_comparison():
    reward, group = randn(6, seed=1), torch.tensor([0, 0, 0, 1, 1, 1])
    reached = torch.ones(6, 1, dtype=torch.bool)
    by_turn = per_turn(standardized)(reward.unsqueeze(1), reached, group)
    assert_close(by_turn.squeeze(1), standardized(reward, group))


def test_tokens_inherit_the_advantage_of_their_attempt_or_turn():
    mask = torch.tensor([[False, True, True], [True, False, True]])
    spread = over_tokens(torch.tensor([2.0, -1.0], dtype=FLOAT), mask)
    assert_close(spread, [[0.0, 2.0, 2.0], [-1.0, 0.0, -1.0]])
    turn = torch.tensor([[-1, 0, 0, 1, -1]])
    assert_close(
        over_turns(torch.tensor([[2.0, -3.0]], dtype=FLOAT), turn), [[0.0, 2.0, 2.0, -3.0, 0.0]]
    )


def test_positive_negative_and_weighted_are_three_estimates_of_one_gradient():
    logits = randn(6, seed=2).requires_grad_()
    policy = torch.log_softmax(logits, -1)
    correct = torch.tensor([1, 0, 0, 1, 0, 0], dtype=FLOAT)
    success = gradient(-(policy.exp() * correct).sum(), logits)
    for advantage in (positive_only(correct), negative_only(correct), weighted(correct)):
        batch = each_token(policy, advantage_BT=advantage.unsqueeze(1))
        loss = reinforce(unclipped)(Logprobs(taken_BT=policy.unsqueeze(1)), batch)
        assert_close(gradient(loss, logits), success)


def test_the_published_weighted_advantages_are_only_a_longer_step():
    correct = torch.tensor([1, 0], dtype=FLOAT)
    assert_close(weighted(correct, positive=0.1) * 1.1, [0.1, -1.0])
