"""What an objective is, over which tokens it is a mean, and how two become one.

An objective is a function of (what the policy says, the batch) that returns the scalar to
minimize. A variation is a function of an objective, so the line that builds the loss describes
the experiment:

    combined((1.0, anchored(reinforce(clipped()), weight=0.02)), (1.0, distill(reverse_kl)))

Every objective first selects its positions and only then computes: what is not selected is
never touched, not even by a NaN, and counts in neither numerator nor denominator.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from distill.sequences.batch import Batch, Logprobs, Source, everywhere

Objective: TypeAlias = Callable[[Logprobs, Batch], Tensor]
"""(logprobs, batch) -> the scalar to minimize"""

Positions: TypeAlias = Callable[[Batch], Tensor]
"""(batch) -> bool_BT: where an objective is computed"""

IMPORTANCE_CAP = 2.0
"""Largest weight pi / pi_old of a token (SDPO's `is_clip`); beyond it, bias instead of variance."""

LOG_RATIO_LIMIT = 20.0
"""Beyond this many nats a ratio stops growing, so it stays finite and 0 times it is 0 (TRL's)."""


def decided(batch: Batch) -> Tensor:
    """Return the positions at which the policy decided, in sequences that count."""
    return batch.mask_BT & (batch.weight_B > 0).unsqueeze(1)


def mean(loss_N: Tensor, batch: Batch, positions: Positions = decided) -> Tensor:
    """Return the sum of the weighted losses over the weight of the whole step's positions.

    A token mean for equal weights. The denominator is the step's, so parts of a step (of one
    process or of several, if gradients are summed) add up to the whole. Without any position it
    is 0, and so is its gradient.
    """
    mass = _weights(batch.step or batch, positions).sum()
    return (_weights(batch, positions) * loss_N).sum() / torch.where(mass > 0, mass, 1)


def combined(*terms: tuple[float, Objective]) -> Objective:
    """Return the weighted sum of some objectives; one of weight 0 is not even computed."""
    active = [(weight, objective) for weight, objective in terms if weight != 0]
    if not active:
        raise ValueError(f"all {len(terms)} terms have weight 0; there is nothing to minimize")

    def total(logprobs: Logprobs, batch: Batch) -> Tensor:
        return torch.stack([weight * term(logprobs, batch) for weight, term in active]).sum()

    return total


def only(source: Source, objective: Objective) -> Objective:
    """Return the objective over the sequences of one source; its mean is over these alone."""
    return among((source,), objective)


def among(sources: Sequence[Source], objective: Objective) -> Objective:
    """Return the objective over the sequences of some sources, with one mean over all of them."""

    def keep(batch: Batch) -> Batch:
        kept_BS = torch.stack([batch.source_B == source for source in sources], 1)
        return replace(batch, weight_B=batch.weight_B * kept_BS.any(1))

    return lambda logprobs, batch: objective(logprobs, everywhere(keep, batch))


def importance(log_ratio_N: Tensor, *, cap: float) -> Tensor:
    """Return the weight exp(log pi - log pi_old) of a token, at most `cap`, as a constant."""
    return ratio(log_ratio_N).detach().clamp(max=cap)


def ratio(log_ratio_N: Tensor) -> Tensor:
    """Return exp(log pi - log pi_old), kept finite."""
    return log_ratio_N.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def log_ratio(logprobs: Logprobs, batch: Batch, positions: Positions = decided) -> Tensor:
    """Return log pi - log pi_old of the tokens taken, pi_old being the policy that acted."""
    at_BT = positions(batch)
    return logprobs.taken_BT[at_BT] - batch.sampled_logp_BT[at_BT]


def _weights(batch: Batch, positions: Positions) -> Tensor:
    weight_BT = batch.weight_B.unsqueeze(1).expand_as(batch.mask_BT)
    return weight_BT[positions(batch)]
