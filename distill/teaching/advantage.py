"""From rewards to advantages: how much better an attempt was than the others at the same task.

No network is asked; the other attempts are the baseline (GRPO, Shao et al. 2024,
arXiv:2402.03300). A group of one has nothing to be compared with and gets 0.

Shape suffixes: B attempts, S turns of an attempt, T token positions, G groups.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Advantage: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(reward_B, group_B) -> advantage_B"""

STD_FLOOR = 1e-6
"""Added to a standard deviation before dividing by it (verl and TRL use 1e-6 and 1e-4)."""

WEAK_POSITIVE = 0.1
"""Weight of a correct sample beside an incorrect one's 1 in W-REINFORCE (arXiv:2506.01347)."""


def centered(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Return each reward minus the mean reward of its group.

    The mean only: dividing by the group's standard deviation favors tasks that are nearly always
    or nearly never solved (Liu et al. 2025, arXiv:2503.20783).

    >>> centered(torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 0, 1])).tolist()
    [0.5, -0.5, 0.0]
    """
    return reward_B - group_mean(reward_B, group_B)


def standardized(reward_B: Tensor, group_B: Tensor, *, correction: int = 1) -> Tensor:
    """Return `centered` divided by the standard deviation of the group (GRPO as published).

    `correction` is that of `torch.std`: 1 for the sample's (verl, TRL), 0 for the population's,
    with which k successes in a group of G, p = k/G, get sqrt((1-p)/p) and failures -sqrt(p/(1-p)).
    """
    spread_B = group_std(reward_B, group_B, correction=correction)
    return centered(reward_B, group_B) / (spread_B + STD_FLOOR)


def per_turn(advantage: Advantage) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the same comparison, made at each turn among the attempts that reached it.

    (reward_BS, reached_BS, group_B) -> advantage_BS, 0 where a turn was not reached. This is
    OpenClaw-RL's standardization over the same step index (arXiv:2603.10165) and the turn-wise
    GRPO of Delta-Belief-RL (arXiv:2602.12342). Two deviations from the latter: finished attempts
    leave the comparison instead of staying with reward 0, and the only attempt to reach a turn
    gets 0 there, not its raw reward.
    """

    def compare(reward_BS: Tensor, reached_BS: Tensor, group_B: Tensor) -> Tensor:
        turns = reward_BS.shape[1]
        group_BS = group_B.unsqueeze(1) * turns + torch.arange(turns, device=group_B.device)
        advantage_BS = torch.zeros_like(reward_BS)
        advantage_BS[reached_BS] = advantage(reward_BS[reached_BS], group_BS[reached_BS])
        return advantage_BS

    return compare


def positive_only(correct_B: Tensor) -> Tensor:
    """Return 1 for a correct sample, 0 otherwise (PSR, Zhu et al. 2025, arXiv:2506.01347).

    No baseline and no standard deviation. The authors drop the other samples and average over
    those kept, so their step size moves with the success rate. Ours keeps them with advantage 0,
    and `positive_only`, `negative_only` and `weighted` are three estimators of one gradient, that
    of the success rate: they differ in what sampling, minibatches and clipping do to them.
    """
    return correct_B.clone()


def negative_only(correct_B: Tensor) -> Tensor:
    """Return -1 for an incorrect sample, 0 otherwise (NSR); see `positive_only`."""
    return correct_B - 1


def weighted(correct_B: Tensor, *, positive: float = WEAK_POSITIVE) -> Tensor:
    """Return W-REINFORCE's advantages, `positive` and -1, divided by 1 + positive.

    The sum of the two exact gradients is 1 + positive times one of them; the division undoes it.
    """
    return (positive * correct_B + (correct_B - 1)) / (1 + positive)


def uniform(reward_B: Tensor, group_B: Tensor) -> Tensor:
    """Return which attempts are in a group whose rewards are all equal, which teaches nothing."""
    groups = group_count(group_B)
    low_G = reward_B.new_full((groups,), torch.inf).scatter_reduce(0, group_B, reward_B, "amin")
    high_G = reward_B.new_full((groups,), -torch.inf).scatter_reduce(0, group_B, reward_B, "amax")
    return (low_G == high_G)[group_B]


def over_tokens(advantage_B: Tensor, mask_BT: Tensor) -> Tensor:
    """Return the advantage of the attempt at each of its decided tokens, 0 elsewhere."""
    return advantage_B.unsqueeze(1) * mask_BT


def over_turns(advantage_BS: Tensor, turn_BT: Tensor) -> Tensor:
    """Return the advantage of its turn at each token; -1 marks a token of no turn, which gets 0."""
    advantage_BT = advantage_BS.gather(1, turn_BT.clamp(min=0))
    return torch.where(turn_BT >= 0, advantage_BT, 0)


def group_mean(value_B: Tensor, group_B: Tensor) -> Tensor:
    """Return the mean of its group at each row; trailing dimensions are kept apart."""
    return (_totals(value_B, group_B) / _divisors(value_B, group_B, correction=0))[group_B]


def group_std(value_B: Tensor, group_B: Tensor, *, correction: int = 1) -> Tensor:
    """Return the standard deviation of its group at each row; 0 in a group of one."""
    square_B = (value_B - group_mean(value_B, group_B)) ** 2
    variance_G = _totals(square_B, group_B) / _divisors(value_B, group_B, correction=correction)
    return variance_G.sqrt()[group_B]


def group_count(group_B: Tensor) -> int:
    """Return how many groups the numbers span, empty ones included."""
    return int(group_B.max()) + 1 if len(group_B) else 0


def _totals(value_B: Tensor, group_B: Tensor) -> Tensor:
    zeros_G = value_B.new_zeros((group_count(group_B), *value_B.shape[1:]))
    return zeros_G.index_add(0, group_B, value_B)


def _divisors(value_B: Tensor, group_B: Tensor, *, correction: int) -> Tensor:
    size_G = torch.bincount(group_B, minlength=group_count(group_B))
    return (size_G - correction).clamp(min=1).reshape(-1, *[1] * (value_B.dim() - 1))
