import math
from dataclasses import replace

import pytest
import torch

from distill.objectives.divergence import jensen_shannon, reverse_kl, with_tail, within
from distill.objectives.reinforce import clipped, reinforce, unclipped
from distill.objectives.self_distill import (
    distill,
    distill_renormalized,
    distill_taken,
    hinted,
    hinted_top_k,
)
from distill.sequences.batch import Logprobs, Targets
from tensor_builders import (
    FLOAT,
    a_batch,
    assert_close,
    distribution,
    each_token,
    gradient,
    randn,
    whole_vocabulary,
)

V = 7
LOGITS = randn(V, seed=0).requires_grad_()
POLICY = torch.log_softmax(LOGITS, -1)
FROZEN = POLICY.detach()
TEACHER = distribution(V, seed=1, scale=2.0)
UNBOUNDED = math.inf
WORDS = Logprobs(taken_BT=POLICY.unsqueeze(1), teacher_NK=POLICY.expand(V, V))


def fresh(teacher_V=TEACHER, old_V=FROZEN):
    """Every token once, drawn from `old`, with what the teacher says there."""
    return replace(each_token(old_V), teacher=whole_vocabulary(teacher_V, old_V))


def test_distilling_a_vocabulary_is_the_kl_to_the_teacher():
    loss, kl = distill(reverse_kl)(WORDS, fresh()), reverse_kl(POLICY, TEACHER)
    assert_close(loss, kl)
    assert_close(gradient(loss, LOGITS), gradient(kl, LOGITS))


@pytest.mark.parametrize(
    "objective",
    [
        distill_taken(),
        hinted(reinforce(unclipped), log_ratio_clip=UNBOUNDED),
        hinted_top_k(log_ratio_clip=UNBOUNDED),
    ],
    ids=["sampled token", "hinted", "hinted top-k"],
)
def test_on_fresh_samples_every_form_descends_the_same_kl(objective):
    exact = gradient(reverse_kl(POLICY, TEACHER), LOGITS)
    assert_close(gradient(objective(WORDS, fresh()), LOGITS), exact)


def test_on_old_samples_the_sampled_token_still_descends_the_kl():
    old = distribution(V, seed=2, scale=0.5)
    exact = gradient(reverse_kl(POLICY, TEACHER), LOGITS)
    ours = distill_taken(cap=100.0)(WORDS, fresh(old_V=old))
    assert_close(gradient(ours, LOGITS), exact)
    capped = gradient(distill_taken(cap=1.0)(WORDS, fresh(old_V=old)), LOGITS)
    assert not torch.allclose(capped, exact, atol=1e-2)


@pytest.mark.parametrize("bound", [0.3, 1.0])
def test_the_bounded_forms_agree_too(bound):
    batch = fresh()
    first = gradient(distill(within(bound, reverse_kl))(WORDS, batch), LOGITS)
    for other in (distill_taken(log_ratio_clip=bound), hinted_top_k(log_ratio_clip=bound)):
        assert_close(gradient(other(WORDS, batch), LOGITS), first)
    assert not torch.allclose(first, gradient(reverse_kl(POLICY, TEACHER), LOGITS))


def test_the_directive_loss_starts_at_the_kl_of_the_policy_that_acted():
    assert_close(
        hinted_top_k(log_ratio_clip=UNBOUNDED)(WORDS, fresh()), reverse_kl(FROZEN, TEACHER)
    )


@pytest.mark.parametrize(
    "objective",
    [
        distill(reverse_kl),
        distill(within(1.0, reverse_kl)),
        distill_renormalized(reverse_kl),
        distill_taken(),
        hinted(reinforce(clipped())),
        hinted_top_k(),
    ],
)
def test_a_teacher_that_read_nothing_new_has_loss_exactly_zero(objective):
    batch = fresh(teacher_V=FROZEN)
    loss = objective(WORDS, batch)
    assert float(loss.detach()) == 0
    assert_close(gradient(loss, LOGITS), torch.zeros(V, dtype=FLOAT))


def test_a_log_ratio_bound_of_zero_asks_for_nothing():
    loss = hinted_top_k(log_ratio_clip=0.0)(WORDS, fresh())
    assert float(loss.detach()) == 0
    assert not gradient(loss, LOGITS).any()


KEPT = FROZEN.topk(3).indices


def kept_batch(old_V=FROZEN):
    batch = each_token(old_V)
    teacher = Targets(
        known_BT=torch.ones(V, 1, dtype=torch.bool),
        logp_BT=TEACHER.unsqueeze(1),
        ids_NK=KEPT.expand(V, 3),
        logp_NK=TEACHER[KEPT].expand(V, 3),
        sampled_logp_NK=old_V[KEPT].expand(V, 3),
    )
    return replace(batch, teacher=teacher)


KEPT_WORDS = replace(WORDS, teacher_NK=POLICY[KEPT].expand(V, 3))


def test_kept_tokens_are_compared_with_a_tail_and_without_it_the_loss_is_another():
    tailed = distill(reverse_kl)(KEPT_WORDS, kept_batch())
    assert_close(tailed, with_tail(reverse_kl)(FROZEN[KEPT], TEACHER[KEPT]))
    blind = distill_renormalized(reverse_kl)(KEPT_WORDS, kept_batch())
    conditional = reverse_kl(
        torch.log_softmax(FROZEN[KEPT], -1), torch.log_softmax(TEACHER[KEPT], -1)
    )
    assert_close(blind, conditional)
    assert abs(float(tailed.detach() - blind.detach())) > 0.01


@pytest.mark.parametrize("bound", [0.1, 1.0])
def test_the_directive_advantages_are_the_old_policy_on_the_kept_tokens_and_bounded(bound):
    """At ratio 1 the loss is minus their sum, so it also shows |sum of advantages| <= C."""
    loss = hinted_top_k(log_ratio_clip=bound)(KEPT_WORDS, kept_batch())
    weights = FROZEN[KEPT].exp() / FROZEN[KEPT].exp().sum()
    advantages = weights * (TEACHER - FROZEN)[KEPT].clamp(-bound, bound)
    assert_close(loss, -advantages.sum())
    assert abs(float(loss.detach())) <= bound


def test_the_directive_ratio_is_clipped_like_ppo():
    moved = POLICY[KEPT] + torch.tensor([0.5, 0.1, -0.5], dtype=FLOAT)
    words = replace(KEPT_WORDS, teacher_NK=moved.expand(V, 3))
    weights = torch.softmax(FROZEN[KEPT], -1)
    advantages = weights * (TEACHER - FROZEN)[KEPT].clamp(-1, 1)
    expected = sum(
        max(-a * rho, -a * min(max(rho, 0.8), 1.28))
        for a, rho in zip(
            advantages.tolist(), [math.exp(0.5), math.exp(0.1), math.exp(-0.5)], strict=True
        )
    )
    assert float(hinted_top_k()(words, kept_batch()).detach()) == pytest.approx(expected)


def test_old_positions_are_reweighted_by_a_capped_constant():
    taken = torch.tensor([[-1.0], [-1.0]], dtype=FLOAT, requires_grad=True)
    batch = a_batch(
        torch.tensor([[-4.0], [-1.1]], dtype=FLOAT),  # ratios e^3 and e^0.1
        teacher=Targets(
            known_BT=torch.ones(2, 1, dtype=torch.bool),
            logp_BT=torch.zeros(2, 1, dtype=FLOAT),
            logp_NK=TEACHER.expand(2, V),
        ),
    )
    words = Logprobs(taken_BT=taken, teacher_NK=POLICY.expand(2, V))
    loss = distill(reverse_kl)(words, batch)
    assert_close(loss, (2.0 + math.exp(0.1)) / 2 * reverse_kl(POLICY, TEACHER))
    assert torch.autograd.grad(loss, taken, allow_unused=True) == (None,)


def two_turns():
    """A turn with a verdict and a hint, one with a hint, one with a verdict, one with neither."""
    known = torch.tensor([[True, True, False, False]])
    return a_batch(
        torch.full((1, 4), -2.0, dtype=FLOAT),
        advantage_BT=torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=FLOAT),
        teacher=Targets(
            known_BT=known, logp_BT=torch.tensor([[-1.5, -1.0, torch.nan, 0.0]], dtype=FLOAT)
        ),
    )


def test_verdict_and_hint_are_one_advantage_and_either_may_be_missing():
    taken = torch.full((1, 4), -2.0, dtype=FLOAT, requires_grad=True)
    loss = hinted(reinforce(unclipped))(Logprobs(taken_BT=taken), two_turns())
    expected = torch.tensor([[1.5, 1.0, 1.0, 0.0]], dtype=FLOAT)
    assert_close(gradient(loss, taken), -expected / 4)


def test_a_turn_without_a_hint_adds_nothing_to_distillation():
    taken = torch.full((1, 4), -2.0, dtype=FLOAT, requires_grad=True)
    slope = gradient(distill_taken()(Logprobs(taken_BT=taken), two_turns()), taken)
    assert_close(slope, torch.tensor([[-0.5, -1.0, 0.0, 0.0]], dtype=FLOAT) / 2)


def test_tokens_forbidden_to_both_do_not_disturb_the_directive_loss():
    allowed = torch.tensor([True, True, False, True, True, False, True])
    logits = randn(V, seed=5).requires_grad_()
    policy = torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), -1)
    teacher = torch.log_softmax(TEACHER.masked_fill(~allowed, -torch.inf), -1)
    old = policy.detach()
    targets = Targets(
        known_BT=torch.ones(1, 1, dtype=torch.bool),
        logp_BT=torch.zeros(1, 1, dtype=FLOAT),
        logp_NK=teacher.unsqueeze(0),
        sampled_logp_NK=old.unsqueeze(0),
    )
    batch = a_batch(torch.zeros(1, 1, dtype=FLOAT), teacher=targets)
    words = Logprobs(taken_BT=torch.zeros(1, 1, dtype=FLOAT), teacher_NK=policy.unsqueeze(0))
    exact = gradient(reverse_kl(policy[allowed], teacher[allowed]), logits)
    for objective in (hinted_top_k(log_ratio_clip=UNBOUNDED), distill(reverse_kl)):
        assert_close(gradient(objective(words, batch), logits), exact)
    assert torch.isfinite(gradient(distill(jensen_shannon(0.5))(words, batch), logits)).all()
