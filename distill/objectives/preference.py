"""Prefer the better of two ways on from the same moment.

Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290) on steps: both sequences
share what came before, so all that differs is the step that a search found better or worse. What
is learned is kept near the reference by the objective itself; no anchor is needed beside it.
"""

import torch
from torch import Tensor
from torch.nn import functional

from distill.objectives.objective import Objective, decided
from distill.sequences.batch import Batch, Logprobs, MissingScoresError
from environments.errors import UserError

BETA = 0.1
"""Weight of the reference, in 1/nat (the paper's default). Smaller: farther from it for the same
preferences; at 0 nothing is learned."""


class TornPairError(UserError, ValueError):
    """The two sides of a preference came in different parts of a step."""

    def __init__(self, pairs: int) -> None:
        super().__init__(
            f"{pairs} preferences lack one side in this part of a step; "
            "raise `part_tokens`, or learn from fewer preferences a step"
        )


def prefer(beta: float = BETA) -> Objective:
    """Return -log sigmoid(beta (margin of the better - margin of the worse)), a mean over pairs.

    A margin is log pi - log pi_ref, summed over the decided tokens of the sequence. A pair is a
    group of two: the better has a positive advantage, the worse a negative one. Its weight is that
    of the better.
    """

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        better_P, worse_P = _pairs(batch)
        if batch.reference is None:
            raise MissingScoresError("the log-probabilities of a reference")
        at_BT = decided(batch)
        apart_BT = torch.zeros_like(logprobs.taken_BT)
        apart_BT[at_BT] = logprobs.taken_BT[at_BT] - batch.reference.logp_BT[at_BT]
        margin_B = apart_BT.sum(1)
        loss_P = -functional.logsigmoid(beta * (margin_B[better_P] - margin_B[worse_P]))
        whole = batch.step or batch
        mass = whole.weight_B[_better(whole)].sum()
        return (batch.weight_B[better_P] * loss_P).sum() / torch.where(mass > 0, mass, 1)

    return objective


def _better(batch: Batch) -> Tensor:
    """Return which sequences are the better ones of a pair."""
    return torch.where(batch.mask_BT, batch.advantage_BT, 0).sum(1) > 0


def _pairs(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the rows of the better and of the worse sides, pair by pair.

    Raises:
        TornPairError: a side is missing.
    """
    better_B = _better(batch)
    rows_B = torch.arange(len(better_B), device=better_B.device)
    better_P, worse_P = rows_B[better_B], rows_B[~better_B]
    better_P = better_P[batch.group_B[better_P].argsort()]
    worse_P = worse_P[batch.group_B[worse_P].argsort()]
    ours, theirs = batch.group_B[better_P].tolist(), batch.group_B[worse_P].tolist()
    if ours != theirs:
        raise TornPairError(len(set(ours) ^ set(theirs)))
    return better_P, worse_P
