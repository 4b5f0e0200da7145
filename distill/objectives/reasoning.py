"""Reward reasoning for how likely it makes a reference answer, and refuse what breaks the rules.

Direct Reasoning Optimization (Xu et al. 2025, arXiv:2506.13351). Replace the answer of a rollout by
the reference (here: the actions of a stored demonstration) and read the reference's tokens under
the policy. Tokens that any reasoning predicts say nothing; those whose likelihood varies between
rollouts reflect the reasoning, and weigh more. The functional form of that weight is not in the
text we had: ours is proportional to the standard deviation.

Rubrics are gates, never scores: a rubric that pays by the point is what gets hacked.

Shape suffixes: B rollouts, J tokens of the reference (those of one group share it), G groups.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.teaching.advantage import group_count, group_std


def reflection_weights(logp_BJ: Tensor, present_BJ: Tensor, group_B: Tensor) -> Tensor:
    """Return the share of each reference token in the spread between the rollouts of a group.

    Rows sum to 1; a group of one, or of rollouts that do not differ, has no spread and gets 0.
    """
    spread_BJ = token_spread(logp_BJ, present_BJ, group_B)
    total_B1 = spread_BJ.sum(1, keepdim=True)
    return spread_BJ / torch.where(total_B1 > 0, total_B1, 1)


def even_weights(present_BJ: Tensor) -> Tensor:
    """Return equal weights: the paper's aggregate baseline, under which reasoning withers."""
    return present_BJ / present_BJ.sum(1, keepdim=True).clamp(min=1)


def token_spread(logp_BJ: Tensor, present_BJ: Tensor, group_B: Tensor) -> Tensor:
    """Return the standard deviation over its group of each token's log-probability.

    A task whose largest spread is near 0 has nothing to teach: the paper drops the lowest.
    """
    return group_std(torch.where(present_BJ, logp_BJ, 0), group_B, correction=0)


def reflection_reward(logp_BJ: Tensor, weight_BJ: Tensor) -> Tensor:
    """Return R3, the weighted log-probability of the reference.

    Pass log-probabilities minus those under masked reasoning for the certainty gained. That
    baseline must be each rollout's own: one shared by the group cancels in the advantages.
    """
    return torch.where(weight_BJ > 0, weight_BJ * logp_BJ, 0).sum(1)


def propagated(logp_BJ: Tensor, reflective_BJ: Tensor, *, decay: float) -> Tensor:
    """Return log-probabilities lowered by what earlier reflective tokens got wrong.

    log pi_j + the sum over reflective k < j of log P_k(j): teacher forcing hides an early mistake
    from later tokens, and this gives it back to them.
    """
    places_J = torch.arange(logp_BJ.shape[1], device=logp_BJ.device)
    distance_JK = places_J.unsqueeze(1) - places_J
    factor_BJK = propagation(logp_BJ.exp().unsqueeze(1), distance_JK, decay=decay)
    earlier_BJK = reflective_BJ.unsqueeze(1) & (distance_JK > 0)
    return logp_BJ + torch.where(earlier_BJK, factor_BJK.log(), 0).sum(-1)


def propagation(p: Tensor, distance: Tensor, *, decay: float) -> Tensor:
    """Return P = p + (1 - p)(1 - exp(-decay distance)): a doubt that fades with distance."""
    return p + (1 - p) * -torch.expm1(-decay * distance.clamp(min=0).to(p.dtype))


def length_reward(produced_B: Tensor, reference_B: Tensor, *, slope: float) -> Tensor:
    """Return 1 - slope times the relative difference in length, of the answer alone."""
    return 1 - slope * (reference_B - produced_B).abs() / reference_B


@dataclass(frozen=True, slots=True, eq=False)
class Gated:
    reward_B: Tensor
    weight_B: Tensor  # 0 in a rejected group, else 1


def gate(reward_B: Tensor, passed_B: Tensor, group_B: Tensor, *, at_least: int = 1) -> Gated:
    """Return the rewards after an accept-or-reject check of every rollout.

    A group with fewer than `at_least` rollouts that pass is rejected whole; in the others a rollout
    that fails gets the smallest reward of its group. Passing never pays less than failing. Our
    reading of "feasibility constraints at rollout-group level": the rule itself is not published.
    """
    groups = group_count(group_B)
    passes_G = torch.bincount(group_B[passed_B], minlength=groups)
    worst_G = reward_B.new_full((groups,), torch.inf).scatter_reduce(0, group_B, reward_B, "amin")
    return Gated(
        reward_B=torch.where(passed_B, reward_B, worst_G[group_B]),
        weight_B=(passes_G >= at_least)[group_B].to(reward_B.dtype),
    )
