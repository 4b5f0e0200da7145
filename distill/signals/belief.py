"""How much a turn raised the policy's own belief in the truth, as a reward for that turn.

Delta-Belief-RL (Auzina et al. 2026, arXiv:2602.12342, read from its code). A critic is not needed
where the target is known in training: teacher-force it after every turn and compare.

Shape suffixes: B attempts, S turns, J tokens of the target. Beliefs are log-probabilities in nats,
beliefs_BS1 has one more column than turns: column 0 is before the first.
"""

import torch
from torch import Tensor

SHAPING_WEIGHT = 0.1
"""Reward per nat of belief gained; 0.05 and 0.1 are level in the paper's ablation, 0.5 hurts."""


def log_belief(logp_BSJ: Tensor, present_BSJ: Tensor) -> Tensor:
    """Return the log-probability of the whole target: a sum over its tokens, not a mean."""
    return torch.where(present_BSJ, logp_BSJ, 0).sum(-1)


def shift(beliefs_BS1: Tensor, reached_BS: Tensor) -> Tensor:
    """Return how far each turn moved the belief; a turn that was not reached moved nothing.

    Signed shifts telescope to the last belief minus the first. Whatever stands in the columns
    after the end of an attempt is not read.
    """
    return torch.where(reached_BS, beliefs_BS1[:, 1:] - beliefs_BS1[:, :-1], 0)


def shaped(shift_BS: Tensor, *, weight: float = SHAPING_WEIGHT) -> Tensor:
    """Return the reward of each turn: `weight` times what it gained, nothing for a loss.

    Rewarding only gains is not potential-based: a policy that lets its belief fall and rise again
    is paid for the rise. Watch `oscillation`.
    """
    return weight * shift_BS.clamp(min=0)


def oscillation(shift_BS: Tensor) -> Tensor:
    """Return the total downward movement of each attempt (nats), which is what shaping overpays.

    The sum of gains minus the net shift. Rising while success does not means farmed reward.
    """
    return (-shift_BS).clamp(min=0).sum(-1)
