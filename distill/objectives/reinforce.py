"""Make what paid more likely: the policy gradient, with three ways to treat old samples.

    L = mean over decided tokens of surrogate(log pi - log pi_old, A)

pi_old is the policy that acted, as recorded by the engine that sampled: one ratio corrects both
for the updates since then and for what that engine computes differently. The mean is over tokens
(DAPO, arXiv:2503.14476), not over sequences as in GRPO (arXiv:2402.03300), where long failures
cost less per token. There is no entropy bonus; advantages come ready made.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from distill.objectives.objective import (
    IMPORTANCE_CAP,
    Objective,
    decided,
    importance,
    log_ratio,
    mean,
    ratio,
)
from distill.sequences.batch import Batch, Logprobs

Surrogate: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(log_ratio_N, advantage_N) -> loss_N"""

CLIP_LOW = 0.2
"""A token loses at most this share of its probability per rollout (PPO, arXiv:1707.06347)."""

CLIP_HIGH = 0.28
"""And gains at most this; the wider side keeps entropy up (clip-higher of DAPO)."""


def reinforce(surrogate: Surrogate) -> Objective:
    """Return the policy-gradient objective with this treatment of old samples."""

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        advantage_N = batch.advantage_BT[decided(batch)]
        return mean(surrogate(log_ratio(logprobs, batch), advantage_N), batch)

    return objective


def unclipped(log_ratio_N: Tensor, advantage_N: Tensor) -> Tensor:
    """Return -A pi/pi_old: exact in expectation, unbounded in variance."""
    return -advantage_N * ratio(log_ratio_N)


def clipped(low: float = CLIP_LOW, high: float = CLIP_HIGH, *, cap: float = math.inf) -> Surrogate:
    """Return PPO's max(-A rho, -A clip(rho, 1 - low, 1 + high)).

    Clipping only acts from the second minibatch of a rollout on, and there it is not neutral:
    high amplifies what the policy already prefers and low undoes it, even when the reward is noise
    (arXiv:2506.10947, arXiv:2509.26114). A punished token whose probability rose is pushed down by
    a rho without limit; `cap` stops pushing at that ratio (the two-sided clip of INTELLECT-2,
    arXiv:2505.07291; `delta` in TRL).
    """

    def surrogate(log_ratio_N: Tensor, advantage_N: Tensor) -> Tensor:
        rho_N = ratio(log_ratio_N)
        clipped_N = rho_N.clamp(1 - low, 1 + high)
        return torch.maximum(-advantage_N * rho_N.clamp(max=cap), -advantage_N * clipped_N)

    return surrogate


def truncated(cap: float = IMPORTANCE_CAP) -> Surrogate:
    """Return -A min(rho, cap) log pi with a constant weight (CISPO, arXiv:2506.13585).

    No token loses its gradient, its weight is bounded instead. The value is relative to log pi_old
    and therefore 0 on fresh samples; only the gradient means anything.
    """

    def surrogate(log_ratio_N: Tensor, advantage_N: Tensor) -> Tensor:
        return -advantage_N * importance(log_ratio_N, cap=cap) * log_ratio_N

    return surrogate
