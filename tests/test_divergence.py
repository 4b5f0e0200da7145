import math
import warnings

import pytest
import torch

from distill.objectives.divergence import (
    add_tail,
    forward_kl,
    jensen_shannon,
    k2,
    k3,
    renormalized,
    reverse_kl,
    sampled_reverse_kl,
    with_tail,
    within,
)
from tensor_builders import FLOAT, distribution, gradient, randn

V = 7
LOGITS = randn(V, seed=0).requires_grad_()
STUDENT = torch.log_softmax(LOGITS, -1)
FROZEN = STUDENT.detach()
TEACHER = distribution(V, seed=1, scale=2.0)


def kl(log_p, log_q):
    return sum(math.exp(p) * (p - q) for p, q in zip(log_p.tolist(), log_q.tolist(), strict=True))


def test_both_kls_equal_their_sums():
    assert float(reverse_kl(FROZEN, TEACHER)) == pytest.approx(kl(FROZEN, TEACHER))
    assert float(forward_kl(FROZEN, TEACHER)) == pytest.approx(kl(TEACHER, FROZEN))


def test_the_reverse_kl_gradient_is_p_times_the_log_ratio_above_its_mean():
    p, log_ratio = FROZEN.exp(), FROZEN - TEACHER
    expected = p * (log_ratio - kl(FROZEN, TEACHER))
    torch.testing.assert_close(gradient(reverse_kl(STUDENT, TEACHER), LOGITS), expected)


def test_the_reverse_kl_gradient_is_a_policy_gradient_with_the_log_ratio_as_advantage():
    advantage = (TEACHER - STUDENT).detach()
    policy_gradient = gradient(-(FROZEN.exp() * advantage * STUDENT).sum(), LOGITS)
    torch.testing.assert_close(gradient(reverse_kl(STUDENT, TEACHER), LOGITS), policy_gradient)


def test_the_forward_kl_gradient_is_the_difference_of_the_two():
    expected = FROZEN.exp() - TEACHER.exp()
    torch.testing.assert_close(gradient(forward_kl(STUDENT, TEACHER), LOGITS), expected)


def test_jensen_shannon_is_symmetric_bounded_and_zero_between_equals():
    half = jensen_shannon(0.5)
    torch.testing.assert_close(half(FROZEN, TEACHER), half(TEACHER, FROZEN))
    assert 0 < float(half(FROZEN, TEACHER)) < math.log(2)
    assert float(half(FROZEN, FROZEN)) == pytest.approx(0, abs=1e-15)


def test_jensen_shannon_is_the_entropy_that_mixing_adds():
    def entropy(log_p):
        return -(log_p.exp() * log_p).sum()

    mixture = (0.7 * FROZEN.exp() + 0.3 * TEACHER.exp()).log()
    added = entropy(mixture) - 0.7 * entropy(FROZEN) - 0.3 * entropy(TEACHER)
    torch.testing.assert_close(jensen_shannon(0.3)(FROZEN, TEACHER), added)


@pytest.mark.parametrize(("end", "toward"), [(0.0, forward_kl), (1.0, reverse_kl)])
def test_an_end_of_the_family_is_a_kl_and_the_interior_only_tends_to_its_slope(end, toward):
    near = abs(end - 1e-6)
    assert float(jensen_shannon(end)(FROZEN, TEACHER)) == float(toward(FROZEN, TEACHER))
    assert float(jensen_shannon(near)(FROZEN, TEACHER)) < 1e-5
    slope = float(jensen_shannon(near)(FROZEN, TEACHER)) / 1e-6
    assert slope == pytest.approx(float(toward(FROZEN, TEACHER)), abs=1e-3)


def test_a_mixture_outside_the_family_is_refused():
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        jensen_shannon(1.5)


def top(k):
    return FROZEN.topk(k).indices


def test_top_k_with_tail_grows_with_k_up_to_the_full_divergence():
    full = kl(FROZEN, TEACHER)
    by_k = [float(with_tail(reverse_kl)(FROZEN[top(k)], TEACHER[top(k)])) for k in range(1, V)]
    assert by_k == sorted(by_k)
    assert by_k[0] < by_k[2] < full
    assert by_k[-1] == pytest.approx(full, abs=1e-12)  # only one token is left out
    everything = float(with_tail(reverse_kl)(FROZEN, TEACHER))
    assert everything == pytest.approx(full, abs=1e-12)


def test_what_top_k_with_tail_misses_is_the_divergence_inside_the_tail():
    kept = top(3)
    outside = torch.tensor([v for v in range(V) if v not in kept.tolist()])
    inside_tail = renormalized(reverse_kl)(FROZEN[outside], TEACHER[outside])
    tail_mass = 1 - FROZEN[kept].exp().sum()
    missed = reverse_kl(FROZEN, TEACHER) - with_tail(reverse_kl)(FROZEN[kept], TEACHER[kept])
    torch.testing.assert_close(missed, tail_mass * inside_tail)


def test_the_renormalized_variant_is_top_k_with_tail_without_the_mass_outside():
    kept = top(3)
    p, q = FROZEN[kept].exp().sum(), TEACHER[kept].exp().sum()
    outside = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    conditional = renormalized(reverse_kl)(FROZEN[kept], TEACHER[kept])
    tailed = with_tail(reverse_kl)(FROZEN[kept], TEACHER[kept])
    torch.testing.assert_close(tailed, outside + p * conditional)
    assert abs(float(tailed - conditional)) > 0.01  # another loss, not an approximation


def test_a_tail_completes_the_distribution_even_when_nothing_was_left_out():
    torch.testing.assert_close(add_tail(FROZEN[top(3)]).exp().sum(), torch.ones((), dtype=FLOAT))
    assert torch.isfinite(add_tail(FROZEN.float())).all()


def test_the_sampled_surrogate_has_the_expected_gradient_of_the_reverse_kl_but_not_its_value():
    surrogate = sampled_reverse_kl(STUDENT, TEACHER)
    expected = (FROZEN.exp() * surrogate).sum()
    torch.testing.assert_close(
        gradient(expected, LOGITS), gradient(reverse_kl(STUDENT, TEACHER), LOGITS)
    )
    assert abs(float(expected.detach()) - kl(FROZEN, TEACHER)) > 0.1


def test_a_bounded_log_ratio_clips_the_advantages_of_the_policy_gradient():
    advantage = (TEACHER - FROZEN).clamp(-0.5, 0.5)
    policy_gradient = gradient(-(FROZEN.exp() * advantage * STUDENT).sum(), LOGITS)
    bounded = gradient(within(0.5, reverse_kl)(STUDENT, TEACHER), LOGITS)
    torch.testing.assert_close(bounded, policy_gradient)
    assert (advantage != TEACHER - FROZEN).any()


def test_a_bound_that_nothing_reaches_changes_nothing_and_a_bound_of_zero_asks_for_nothing():
    loose = gradient(within(100.0, reverse_kl)(STUDENT, TEACHER), LOGITS)
    torch.testing.assert_close(loose, gradient(reverse_kl(STUDENT, TEACHER), LOGITS))
    closed = gradient(within(0.0, reverse_kl)(STUDENT, TEACHER), LOGITS)
    torch.testing.assert_close(closed, torch.zeros(V, dtype=FLOAT))


@pytest.mark.parametrize(("estimator", "unbiased"), [(k2, True), (k3, False)])
def test_only_k2_has_the_gradient_of_the_kl(estimator, unbiased):
    ours = gradient((FROZEN.exp() * estimator(STUDENT, TEACHER)).sum(), LOGITS)
    exact = gradient(reverse_kl(STUDENT, TEACHER), LOGITS)
    assert torch.allclose(ours, exact) is unbiased


def test_k3_is_never_negative_averages_to_the_kl_and_descends_the_other_one():
    estimate = k3(STUDENT, TEACHER)
    assert (k3(randn(1000, seed=7), randn(1000, seed=8)) >= 0).all()
    mean = (FROZEN.exp() * estimate).sum().detach()
    assert float(mean) == pytest.approx(kl(FROZEN, TEACHER))
    descends = gradient((FROZEN.exp() * estimate).sum(), LOGITS)
    torch.testing.assert_close(descends, gradient(forward_kl(STUDENT, TEACHER), LOGITS))


ALL = {
    "reverse": reverse_kl,
    "forward": forward_kl,
    "jensen-shannon": jensen_shannon(0.5),
    "tail": with_tail(reverse_kl),
    "renormalized": renormalized(forward_kl),
    "within": within(1.0, reverse_kl),
}


@pytest.mark.parametrize("name", ALL)
def test_tokens_that_both_exclude_cost_nothing_and_carry_no_gradient(name):
    allowed = torch.tensor([True, False, True, True, False, True, True])
    logits = randn(V, seed=3).requires_grad_()
    student = torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), -1)
    teacher = torch.log_softmax(TEACHER.masked_fill(~allowed, -torch.inf), -1)
    short = ALL[name](student[allowed], teacher[allowed])
    loss = ALL[name](student, teacher)
    torch.testing.assert_close(loss, short)
    torch.testing.assert_close(gradient(loss, logits), gradient(short, logits))
    assert (gradient(loss, logits)[~allowed] == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_equal_distributions_are_at_no_distance_and_exert_no_pull(name):
    loss = ALL[name](STUDENT, FROZEN)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-14)
    torch.testing.assert_close(gradient(loss, LOGITS), torch.zeros(V, dtype=FLOAT))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tail", [True, False])
def test_trl_computes_the_same_losses(alpha, tail):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("trl.experimental.sdpo.loss_utils")
    student, teacher = randn(5, 50, seed=5, scale=2.0), randn(5, 50, seed=6, scale=2.0)
    topk = theirs.compute_topk_self_distillation_loss(
        student, teacher, distillation_topk=8, distillation_alpha=alpha, distillation_add_tail=tail
    )
    ids = student.topk(8).indices
    ours, theirs_full = (torch.log_softmax(logits, -1) for logits in (student, teacher))
    compare = (with_tail if tail else renormalized)(jensen_shannon(alpha))
    torch.testing.assert_close(compare(ours.gather(1, ids), theirs_full.gather(1, ids)), topk)
    full = theirs.compute_full_logit_self_distillation_loss(
        student, teacher, distillation_alpha=alpha
    )
    torch.testing.assert_close(jensen_shannon(alpha)(ours, theirs_full), full)
