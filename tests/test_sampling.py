import numpy as np
import pytest
import torch

from distill.engine.sampling import choose, stream
from distill.models.logprobs import decision_logprobs
from distill.sequences.trie import Decision

LOGITS = np.array([0.0, 1.0, -1.0, 2.0])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_their_probability(temperature):
    expected = np.exp(LOGITS / temperature) / np.exp(LOGITS / temperature).sum()
    drawn = [choose(LOGITS, temperature, stream(seed)).index for seed in range(4000)]
    found = np.bincount(drawn, minlength=4) / len(drawn)
    deviation = np.sqrt(expected * (1 - expected) / len(drawn))
    assert (abs(found - expected) < 4 * deviation).all()


def test_the_recorded_logprob_is_that_of_the_distribution_drawn_from():
    choice = choose(LOGITS, 0.5, stream(3))
    exact = LOGITS / 0.5 - np.log(np.exp(LOGITS / 0.5).sum())
    assert choice.logprob == pytest.approx(exact[choice.index])


def test_at_temperature_zero_the_likeliest_is_taken_and_recorded_as_at_one():
    exact = LOGITS - np.log(np.exp(LOGITS).sum())
    for seed in range(20):
        choice = choose(LOGITS, 0.0, stream(seed))
        assert choice.index == 3
        assert choice.logprob == pytest.approx(exact[3])


def test_a_seed_says_what_is_drawn_and_seeds_differ():
    draws = [stream(seed).random() for seed in range(100)]
    assert draws == [stream(seed).random() for seed in range(100)]
    assert len(set(draws)) == 100


def test_a_token_of_no_probability_is_never_drawn():
    logits = np.array([-np.inf, 0.0, -np.inf])
    assert {choose(logits, 1.0, stream(seed)).index for seed in range(50)} == {1}


def test_logprobs_computed_again_match_enumeration_and_carry_gradients():
    torch.manual_seed(0)
    hidden_TE = torch.randn(3, 4, requires_grad=True)
    head_VE = torch.randn(6, 4)
    decisions = [Decision(1, 2, (2, 5)), Decision(2, 4, ())]
    found_D = decision_logprobs(hidden_TE, head_VE, decisions, temperature=0.7)
    first = (head_VE @ hidden_TE[0] / 0.7).detach()
    second = (head_VE @ hidden_TE[1] / 0.7).detach()
    assert found_D[0].item() == pytest.approx(
        (first[2] - first[[2, 5]].logsumexp(0)).item(), abs=1e-6
    )
    assert found_D[1].item() == pytest.approx((second[4] - second.logsumexp(0)).item(), abs=1e-6)
    found_D.sum().backward()
    assert hidden_TE.grad is not None
    assert (hidden_TE.grad.abs().sum(1) > 0).tolist() == [True, True, False]
