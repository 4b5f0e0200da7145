from dataclasses import replace

import pytest
import torch

from distill.objectives.refine import GAMMA, refine, shaping
from distill.objectives.reinforce import clipped, reinforce, truncated, unclipped
from distill.sequences.batch import Logprobs, Source
from tensor_builders import FLOAT, a_batch, gradient, randn

P = torch.linspace(1e-6, 1, 20001, dtype=FLOAT)


def coefficient(p, gamma=GAMMA):
    """What multiplies the gradient of log p."""
    logp = p.log().requires_grad_()
    return gradient(shaping(logp, gamma=gamma).sum(), logp)


def test_the_shaping_is_p_over_p_plus_gamma_and_so_is_its_slope():
    torch.testing.assert_close(shaping(P.log()), P / (P + GAMMA))
    torch.testing.assert_close(coefficient(P), GAMMA * P / (P + GAMMA) ** 2)


def test_the_slope_is_greatest_where_p_is_gamma_and_then_a_quarter():
    slope = coefficient(P)
    assert float(slope.max()) == pytest.approx(0.25, abs=1e-6)
    assert float(P[slope.argmax()]) == pytest.approx(GAMMA, abs=1e-4)


def test_the_shaping_is_bounded():
    assert float(shaping(P.log()).max()) == pytest.approx(1 / (1 + GAMMA))
    assert float(shaping(torch.tensor(-1000.0))) == 0


def test_the_rarer_a_token_the_more_it_learns_relative_to_its_probability():
    relative = coefficient(P) / P
    assert (relative.diff() < 0).all()
    assert float(relative[0]) == pytest.approx(1 / GAMMA, rel=1e-4)
    assert float(coefficient(torch.tensor([1.0], dtype=FLOAT))) < GAMMA


def test_a_large_gamma_is_the_plain_probability_and_a_small_one_learns_nothing():
    p = torch.tensor([0.3], dtype=FLOAT)
    assert 1e6 * float(shaping(p.log(), gamma=1e6)) == pytest.approx(0.3, abs=1e-6)
    assert float(coefficient(p, gamma=1e-9)) < 1e-8


def a_group():
    """Three attempts and one refinement of two tokens, nobody having sampled the refinement."""
    taken = (-randn(4, 2, seed=0).abs()).requires_grad_()
    source = torch.tensor([Source.ROLLOUT] * 3 + [Source.REFINEMENT])
    sampled = taken.detach() + 0.1 * randn(4, 2, seed=1)
    sampled[3] = torch.nan
    advantage = torch.tensor([-0.25, -0.25, -0.25, 0.75], dtype=FLOAT).unsqueeze(1).expand(4, 2)
    return taken, a_batch(sampled, source_B=source, advantage_BT=advantage)


def test_the_refinement_is_shaped_in_all_its_tokens_and_only_there():
    taken, batch = a_group()
    slope = gradient(refine()(Logprobs(taken_BT=taken), batch), taken)
    rho = (taken.detach() - batch.sampled_logp_BT)[:3].exp()
    torch.testing.assert_close(slope[:3], 0.25 * rho / 8)
    torch.testing.assert_close(slope[3], -0.75 * coefficient(taken.detach()[3].exp()) / 8)


@pytest.mark.parametrize("surrogate", [unclipped, clipped(), truncated()])
def test_nobody_sampled_the_refinement_under_this_prompt_and_nothing_asks_who_did(surrogate):
    taken, batch = a_group()
    slope = gradient(refine(surrogate)(Logprobs(taken_BT=taken), batch), taken)
    torch.testing.assert_close(slope[3], -0.75 * coefficient(taken.detach()[3].exp()) / 8)


def test_a_wrong_refinement_is_pushed_down():
    taken, batch = a_group()
    wrong = replace(batch, advantage_BT=-batch.advantage_BT)
    assert (gradient(refine()(Logprobs(taken_BT=taken), wrong), taken)[3] > 0).all()


@pytest.mark.parametrize("surrogate", [unclipped, clipped()])
def test_without_a_refinement_it_is_the_plain_objective_to_the_bit(surrogate):
    taken, batch = a_group()
    plain = replace(
        batch, source_B=torch.zeros(4, dtype=torch.long), sampled_logp_BT=taken.detach()
    )
    ours = refine(surrogate)(Logprobs(taken_BT=taken), plain)
    expected = reinforce(surrogate)(Logprobs(taken_BT=taken), plain)
    assert torch.equal(ours, expected)
    assert torch.equal(gradient(ours, taken), gradient(expected, taken))
