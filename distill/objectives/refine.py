"""Take over what a critique made possible: one refined attempt per group, scored as if unprompted.

Critique-GRPO (arXiv:2506.03106, read from its code). The refinement was sampled under another
prompt (with the critique), so its probability under the original one may be tiny and there is no
honest importance ratio. Its tokens are weighted by f(p) = p / (p + gamma) instead:

    rollout tokens      -A pi / pi_old              (no clipping)
    refined tokens      -A f(pi)                    df / d log p = gamma p / (p + gamma)^2

That slope is about p / gamma for rare tokens, gamma / p for sure ones, and never above 1/4, where
p = gamma: rare tokens learn more than under the plain p, sure ones less. A wrong refinement has
A < 0 and is pushed down.

The batch brings the refined tokens conditioned on the original prompt, with advantages centered
over the group that holds them. Deviation: a token mean (the authors divide by the maximum length).
"""

import math

import torch
from torch import Tensor

from distill.objectives.objective import Objective, decided, log_ratio, mean
from distill.objectives.reinforce import Surrogate, unclipped
from distill.sequences.batch import Batch, Logprobs, Source

GAMMA = 0.1
"""Probability at which a refined token learns fastest (`p_div_p_0.1`)."""


def refine(surrogate: Surrogate = unclipped, *, gamma: float = GAMMA) -> Objective:
    """Return `reinforce(surrogate)` whose refined tokens are shaped instead.

    The authors drop clipping and the KL together; R3L (d503f6c) keeps the clip: pass `clipped()`.
    """

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        at_BT = decided(batch)
        advantage_N = batch.advantage_BT[at_BT]
        refined_N = (batch.source_B == Source.REFINEMENT).unsqueeze(1).expand_as(at_BT)[at_BT]
        own_N = torch.where(refined_N, 0, log_ratio(logprobs, batch))
        shaped_N = -advantage_N * shaping(logprobs.taken_BT[at_BT], gamma=gamma)
        return mean(torch.where(refined_N, shaped_N, surrogate(own_N, advantage_N)), batch)

    return objective


def shaping(logp_N: Tensor, *, gamma: float = GAMMA) -> Tensor:
    """Return f = p / (p + gamma) of log-probabilities, computed as a sigmoid of log p - log gamma.

    >>> f = shaping(torch.tensor([0.1]).log())
    >>> round(f.item(), 4), round((f * (1 - f)).item(), 4)  # the slope is f (1 - f)
    (0.5, 0.25)
    """
    return torch.sigmoid(logp_N - math.log(gamma))
