import math
from dataclasses import replace

import pytest
import torch

from distill.objectives.anchor import anchored, anchored_exactly
from distill.objectives.divergence import forward_kl, k3, reverse_kl
from distill.objectives.negative import sparing
from distill.objectives.objective import only
from distill.objectives.reinforce import clipped, reinforce, truncated, unclipped
from distill.sequences.batch import Logprobs
from tensor_builders import (
    FLOAT,
    a_batch,
    distribution,
    each_token,
    gradient,
    randn,
    whole_vocabulary,
)

V = 5
LOGITS = randn(V, seed=0).requires_grad_()
POLICY = torch.log_softmax(LOGITS, -1)
OLD = distribution(V, seed=1, scale=0.5)
REWARD = randn(V, seed=2)
HERE = Logprobs(taken_BT=POLICY.unsqueeze(1))


def close(ours, expected, **tolerance):
    torch.testing.assert_close(
        torch.as_tensor(ours), torch.as_tensor(expected, dtype=FLOAT), **tolerance
    )


@pytest.mark.parametrize("surrogate", [unclipped, truncated(cap=100.0)])
def test_old_samples_give_the_gradient_of_the_expected_reward(surrogate):
    batch = each_token(OLD, advantage_BT=REWARD.unsqueeze(1))
    exact = gradient(-(POLICY.exp() * REWARD).sum(), LOGITS)
    close(gradient(reinforce(surrogate)(HERE, batch), LOGITS), exact)


@pytest.mark.parametrize("surrogate", [unclipped, clipped(), truncated()])
def test_on_fresh_samples_all_surrogates_are_the_same_policy_gradient(surrogate):
    batch = each_token(POLICY, advantage_BT=REWARD.unsqueeze(1))
    exact = gradient(-(POLICY.exp() * REWARD).sum(), LOGITS)
    close(gradient(reinforce(surrogate)(HERE, batch), LOGITS), exact)


@pytest.mark.parametrize(
    ("advantage", "rho", "loss", "slope"),
    [
        (+1, 1.1, -1.1, -1.1),  # inside: the plain ratio
        (+1, 1.5, -1.28, 0.0),  # praised enough
        (+1, 0.5, -0.5, -0.5),  # praised and rarer than before: no clip
        (-1, 0.9, 0.9, 0.9),
        (-1, 0.5, 0.8, 0.0),  # punished enough
        (-1, 1.5, 1.5, 1.5),  # punished and likelier than before: no clip
        (-1, 5.0, 3.0, 0.0),  # beyond the cap
        (+1, 5.0, -1.28, 0.0),
    ],
)
def test_clipping_stops_each_side_where_it_should(advantage, rho, loss, slope):
    log_ratio = torch.tensor([rho], dtype=FLOAT).log().requires_grad_()
    ours = clipped(0.2, 0.28, cap=3.0)(log_ratio, torch.tensor([advantage], dtype=FLOAT))
    close(ours.detach(), [loss])
    close(gradient(ours.sum(), log_ratio), [slope])


def test_an_importance_weight_is_capped_and_constant():
    log_ratio = torch.tensor([3.0, 0.1], dtype=FLOAT, requires_grad=True)
    loss = truncated(cap=2.0)(log_ratio, torch.ones(2, dtype=FLOAT)).sum()
    close(gradient(loss, log_ratio), [-2.0, -math.exp(0.1)])


@pytest.mark.parametrize("surrogate", [unclipped, clipped(), truncated()])
@pytest.mark.parametrize("log_ratio", [2000.0, -2000.0, -math.inf])
def test_an_absurd_ratio_stays_finite(surrogate, log_ratio):
    far = torch.tensor([log_ratio], dtype=FLOAT)
    if math.isfinite(log_ratio):
        assert torch.isfinite(surrogate(far, torch.tensor([-1.0], dtype=FLOAT))).all()
    if surrogate is not truncated:
        no_advantage = torch.zeros(1, dtype=FLOAT)
        assert not surrogate(far.clamp(min=-1e4), no_advantage).any()


def test_the_sampled_anchor_has_the_gradient_of_the_kl_even_after_updates():
    reference = whole_vocabulary(distribution(V, seed=3))
    batch = replace(each_token(OLD), reference=reference)
    nothing = reinforce(unclipped)  # all advantages are 0
    exact = gradient(reverse_kl(POLICY, reference.logp_BT.squeeze(1)), LOGITS)
    ours = anchored(nothing, weight=0.7, cap=100.0)(HERE, batch)
    close(gradient(ours, LOGITS), 0.7 * exact)


def test_grpos_penalty_would_descend_the_other_kl():
    reference = distribution(V, seed=3)
    theirs = gradient((POLICY.detach().exp() * k3(POLICY, reference)).sum(), LOGITS)
    close(theirs, gradient(forward_kl(POLICY, reference), LOGITS))
    assert not torch.allclose(theirs, gradient(reverse_kl(POLICY, reference), LOGITS), atol=1e-2)


def test_the_exact_anchor_adds_the_kl_itself():
    reference = whole_vocabulary(distribution(V, seed=3))
    batch = replace(each_token(POLICY), reference=reference)
    words = Logprobs(taken_BT=POLICY.unsqueeze(1), reference_NK=POLICY.expand(V, V))
    kl = reverse_kl(POLICY, reference.logp_BT.squeeze(1))
    ours = anchored_exactly(reinforce(unclipped), weight=0.7)(words, batch)
    close(ours.detach(), 0.7 * kl.detach())
    close(gradient(ours, LOGITS), 0.7 * gradient(kl, LOGITS))


def test_an_anchor_at_the_reference_itself_does_not_pull():
    batch = replace(each_token(POLICY), reference=whole_vocabulary(POLICY))
    ours = anchored(reinforce(unclipped), weight=1.0)(HERE, batch)
    close(gradient(ours, LOGITS), torch.zeros(V))


def test_a_punished_token_gives_its_mass_to_the_others_unequally():
    """The likelier an alternative, the larger the factor by which it gains."""
    old = torch.tensor([0.029, 0.251, 0.059, 0.548, 0.113], dtype=FLOAT)
    logits = old.log().requires_grad_()
    taken = torch.log_softmax(logits, -1)[2].reshape(1, 1)
    batch = a_batch(taken, advantage_BT=torch.tensor([[-1.0]], dtype=FLOAT))
    loss = reinforce(unclipped)(Logprobs(taken_BT=taken), batch)
    after = torch.softmax(logits.detach() - 0.5 * gradient(loss, logits), -1)
    close(after / torch.softmax(logits.detach(), -1), [0.852, 0.952, 0.524, 1.104, 0.888],
          atol=1e-3, rtol=0)  # fmt: skip


def test_a_token_that_is_nearly_given_up_is_punished_no_further_but_may_be_praised():
    logits = torch.tensor([6.0, -6.0, 0.0], dtype=FLOAT, requires_grad=True)
    policy = torch.log_softmax(logits, -1)
    taken = Logprobs(taken_BT=policy.unsqueeze(1))
    blame, praise = -torch.ones(3, 1, dtype=FLOAT), torch.ones(3, 1, dtype=FLOAT)

    def slope(objective, advantage):
        batch = a_batch(policy.unsqueeze(1), advantage_BT=advantage)
        return gradient(objective(taken, batch), logits)

    plain, lenient = reinforce(unclipped), sparing(reinforce(unclipped), floor=1e-3)
    rest = a_batch(policy.unsqueeze(1), advantage_BT=blame * torch.tensor([[1], [0], [1]]))
    close(slope(lenient, blame), gradient(plain(taken, rest), logits))
    assert torch.equal(slope(lenient, praise), slope(plain, praise))


ARMS, STEPS, SEEDS, GROUP = 10, 60, 400, 16


@pytest.fixture
def one_thread():
    """Tensors this small cost ten times as much when threads compete for the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def entropy(logits):
    log_p = torch.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum(-1)


def trained_bandits(surrogate, paid, *, samples: int, minibatches: int, rate: float = 1.0):
    """Return by bandit how entropy and the probability of its first favorite changed.

    `paid(shape, generator)` are the advantages: they say nothing of the actions.
    """
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(SEEDS, ARMS, generator=generator, dtype=FLOAT).requires_grad_()
    first, objective = logits.detach(), reinforce(surrogate)
    for _ in range(STEPS):
        old = torch.log_softmax(logits.detach(), -1)
        actions = torch.multinomial(old.exp(), samples, replacement=True, generator=generator)
        advantages = paid(actions.shape, generator)
        for part, worth in zip(
            actions.chunk(minibatches, 1), advantages.chunk(minibatches, 1), strict=True
        ):
            taken = torch.log_softmax(logits, -1).gather(1, part)
            batch = a_batch(old.gather(1, part), advantage_BT=worth)
            loss = objective(Logprobs(taken_BT=taken), batch) * SEEDS  # each bandit its own mean
            logits = (logits.detach() - rate * gradient(loss, logits)).requires_grad_()
    favorite = first.argmax(1, keepdim=True)
    before, after = (torch.softmax(x.detach(), 1).gather(1, favorite) for x in (first, logits))
    return entropy(logits.detach()) - entropy(first), after - before


def estimate(change):
    """Mean and standard error."""
    return float(change.mean()), float(change.std()) / math.sqrt(SEEDS)


def always(reward: float):
    return lambda shape, _: torch.full(shape, reward, dtype=FLOAT)


def coins(shape, generator):
    """Return the advantages of groups of attempts that a coin rewarded."""
    groups = (shape[0], shape[1] // GROUP, GROUP)
    paid = (torch.rand(groups, generator=generator, dtype=FLOAT) < 0.5).to(FLOAT)
    spread = paid.std(2, correction=0, keepdim=True) + 1e-6
    return ((paid - paid.mean(2, keepdim=True)) / spread).reshape(shape)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("surrogate", "reward", "expected", "its_error"),
    [
        (clipped(0.2, 0.2), +1.0, -1.280, 0.028),
        (clipped(0.2, 0.2), -1.0, -0.589, 0.020),
        (unclipped, +1.0, -1.068, 0.027),
        (unclipped, -1.0, -1.060, 0.028),
    ],
    ids=["praised, clipped", "blamed, clipped", "praised", "blamed"],
)
def test_praise_and_blame_cost_different_entropy_only_when_clipped(
    surrogate, reward, expected, its_error
):
    told, _ = trained_bandits(surrogate, always(reward), samples=32, minibatches=4)
    change, error = estimate(told)
    assert abs(change - expected) < 4 * math.hypot(error, its_error)
    assert error < 0.03


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("surrogate", "favorite", "its_error"),
    [
        (unclipped, -0.028, 0.016),
        (clipped(0.2, 0.2), +0.043, 0.015),
        (clipped(0.2, math.inf), -0.060, 0.013),
        (clipped(1.0, 0.2), +0.066, 0.018),  # a ratio is never below 0: no clip on that side
    ],
    ids=["no clip", "both", "low", "high"],
)
def test_a_coin_for_a_reward_raises_what_was_preferred_where_rises_are_clipped(
    surrogate, favorite, its_error
):
    lost, risen = trained_bandits(surrogate, coins, samples=64, minibatches=8, rate=0.5)
    change, error = estimate(risen)
    assert abs(change - favorite) < 4 * math.hypot(error, its_error)
    assert estimate(lost)[0] < -0.4  # in every variant


def test_sequences_of_another_source_do_not_reinforce():
    batch = each_token(OLD, advantage_BT=REWARD.unsqueeze(1))
    mixed = replace(batch, source_B=torch.tensor([0, 0, 2, 2, 2]))
    ours = only(0, reinforce(unclipped))(HERE, mixed)
    fewer = replace(batch, weight_B=batch.weight_B * torch.tensor([1, 1, 0, 0, 0]))
    assert torch.equal(ours, reinforce(unclipped)(HERE, fewer))
