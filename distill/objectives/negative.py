"""Learn from what went wrong without digging for garbage.

Negative-sample reinforcement (Zhu et al. 2025, arXiv:2506.01347) is `reinforce` with the
advantages of `distill.teaching.advantage.negative_only` or `weighted`: no loss of its own. Pushing
a sampled token down by one step changes its logit by -(1 - pi) and that of any other token u by
+pi_u, so the mass goes where the policy's prior already is. On a task that always fails this goes
on for ever, token after token, until unlikely text is all that is left. This file stops it.
"""

from dataclasses import replace

import torch
from torch import Tensor

from distill.objectives.objective import Objective
from distill.sequences.batch import Batch, Logprobs

UNLIKELY = 1e-3
"""Probability under which a sampled token is not punished any further.

Our choice: the paper has no floor, and without one or an anchor its gradient never rests.
"""


def sparing(objective: Objective, *, floor: float = UNLIKELY) -> Objective:
    """Return the objective with no punishment for tokens the policy has nearly given up.

    Their advantage is 0 while negative and their current probability is under `floor`; they stay in
    the mean, so the strength of the others does not change.
    """

    def spared(logprobs: Logprobs, batch: Batch) -> Tensor:
        rare_BT = logprobs.taken_BT.detach().exp() < floor
        lenient_BT = torch.where(rare_BT, batch.advantage_BT.clamp(min=0), batch.advantage_BT)
        return objective(logprobs, replace(batch, advantage_BT=lenient_BT))

    return spared
