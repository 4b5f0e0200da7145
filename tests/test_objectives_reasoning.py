import math

import pytest
import torch

from distill.objectives.reasoning import (
    even_weights,
    gate,
    length_reward,
    propagated,
    propagation,
    reflection_reward,
    reflection_weights,
    token_spread,
)
from distill.teaching.advantage import centered
from tensor_builders import FLOAT, randn

B, J = 16, 9
GROUP = torch.zeros(B, dtype=torch.long)
PRESENT = torch.ones(B, J, dtype=torch.bool)
LOGP = -randn(B, J, seed=0).abs()
LOGP[:, 2] = -0.5


def advantages(logp, weights):
    return centered(reflection_reward(logp, weights), GROUP)


WEIGHTS = reflection_weights(LOGP, PRESENT, GROUP)


def test_the_weights_share_out_the_spread_between_rollouts():
    spread = LOGP.std(0, correction=0)
    torch.testing.assert_close(WEIGHTS, (spread / spread.sum()).expand(B, J))


def test_a_baseline_shared_by_the_group_cancels_and_an_own_one_does_not():
    shared, own = randn(J, seed=1), randn(B, J, seed=2)
    plain = advantages(LOGP, WEIGHTS)
    torch.testing.assert_close(advantages(LOGP - shared, WEIGHTS), plain)
    assert not torch.allclose(advantages(LOGP - own, WEIGHTS), plain, atol=0.1)


def test_a_token_that_any_reasoning_predicts_has_no_influence():
    altered = LOGP.clone()
    altered[:, 2] = -99.0
    torch.testing.assert_close(
        advantages(altered, reflection_weights(altered, PRESENT, GROUP)), advantages(LOGP, WEIGHTS)
    )


def test_even_weights_give_the_mean_log_probability():
    torch.testing.assert_close(reflection_reward(LOGP, even_weights(PRESENT)), LOGP.mean(1))


def test_padding_of_a_shorter_reference_is_not_read():
    present = torch.arange(J).expand(B, J) < 6
    padded = LOGP.masked_fill(~present, torch.nan)
    ours = reflection_reward(padded, reflection_weights(padded, present, GROUP))
    short = LOGP[:, :6]
    alone = reflection_reward(short, reflection_weights(short, present[:, :6], GROUP))
    torch.testing.assert_close(ours, alone)
    torch.testing.assert_close(
        reflection_reward(padded, even_weights(present)), LOGP[:, :6].mean(1)
    )


def test_one_rollout_or_equal_rollouts_have_no_spread_and_no_reward():
    alone = reflection_weights(LOGP[:1], PRESENT[:1], GROUP[:1])
    assert not reflection_reward(LOGP[:1], alone).any()
    same = LOGP[:1].expand(4, J)
    assert not token_spread(same, PRESENT[:4], GROUP[:4]).any()
    assert not reflection_reward(same, reflection_weights(same, PRESENT[:4], GROUP[:4])).any()


def test_permuting_rollouts_permutes_rewards():
    order = torch.randperm(B, generator=torch.Generator().manual_seed(0))
    moved = LOGP[order]
    torch.testing.assert_close(
        reflection_reward(moved, reflection_weights(moved, PRESENT, GROUP)),
        reflection_reward(LOGP, WEIGHTS)[order],
    )


@pytest.mark.parametrize(
    ("p", "distance", "expected"),
    [(0.3, 0, 0.3), (0.3, 200, 1.0), (1.0, 3, 1.0), (0.0, 2, 1 - math.exp(-1))],
)
def test_a_doubt_fades_with_distance(p, distance, expected):
    ours = propagation(torch.tensor(p, dtype=FLOAT), torch.tensor(distance), decay=0.5)
    assert float(ours) == pytest.approx(expected, abs=1e-12)


def test_an_early_doubt_lowers_the_later_tokens_only():
    logp, reflective = LOGP[:1, :3], torch.tensor([[True, False, False]])
    p = math.exp(float(logp[0, 0]))
    expected = logp + torch.tensor(
        [[0.0, *(math.log(p + (1 - p) * (1 - math.exp(-0.5 * d))) for d in (1, 2))]], dtype=FLOAT
    )
    torch.testing.assert_close(propagated(logp, reflective, decay=0.5), expected)
    nothing = torch.zeros_like(reflective)
    torch.testing.assert_close(propagated(logp, nothing, decay=0.5), logp)


def test_the_length_reward_is_symmetric_and_linear():
    produced = torch.tensor([100.0, 120.0, 80.0, 0.0], dtype=FLOAT)
    ours = length_reward(produced, torch.full((4,), 100.0, dtype=FLOAT), slope=0.3)
    assert ours.tolist() == [1.0, pytest.approx(0.94), pytest.approx(0.94), pytest.approx(0.7)]


REWARD = torch.tensor([0.9, 0.2, 0.5, 0.7, 0.1, 0.4], dtype=FLOAT)
TWO_GROUPS = torch.tensor([0, 0, 0, 1, 1, 1])


def test_a_gate_that_all_pass_changes_nothing():
    ours = gate(REWARD, torch.ones(6, dtype=torch.bool), TWO_GROUPS)
    assert torch.equal(ours.reward_B, REWARD)
    assert (ours.weight_B == 1).all()


def test_a_group_with_too_few_passes_counts_nowhere():
    passed = torch.tensor([True, True, False, False, False, False])
    assert gate(REWARD, passed, TWO_GROUPS).weight_B.tolist() == [1, 1, 1, 0, 0, 0]
    assert gate(REWARD, passed, TWO_GROUPS, at_least=2).weight_B.tolist() == [1, 1, 1, 0, 0, 0]
    assert gate(REWARD, passed, TWO_GROUPS, at_least=3).weight_B.tolist() == [0] * 6


def test_what_fails_gets_the_least_of_its_group():
    passed = torch.tensor([False, True, True, True, True, False])
    ours = gate(REWARD, passed, TWO_GROUPS).reward_B
    assert ours.tolist() == [0.2, 0.2, 0.5, 0.7, 0.1, 0.1]


def test_passing_never_pays_less_than_failing():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        reward = torch.randn(6, generator=generator, dtype=FLOAT)
        passed = torch.rand(6, generator=generator) < 0.5
        before = gate(reward, passed, TWO_GROUPS).reward_B
        for i in (~passed).nonzero().flatten().tolist():
            mended = passed.clone()
            mended[i] = True
            assert gate(reward, mended, TWO_GROUPS).reward_B[i] >= before[i]
