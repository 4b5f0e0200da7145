"""Judge your own work after the end, in a part that inference never generates.

Post-Completion Learning (Fei et al. 2025, arXiv:2507.20252; the reward formulas are our reading).
The policy writes its answer, then a marker in the place of the end token, then a report: what it
expects to be rewarded. Inference stops at the marker, so the report costs nothing there.

    answer ... <marker> | report          the marker ends the answer and belongs to it

Deviations. The report is scored in Brier form, not by |stated - true|, under which the constant
"1" is best on easy tasks. And each side is credited for its own reward only: with a shared
advantage, an answer that is wrong on purpose is the easiest to report on.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from distill.objectives.calibrate import BRIER
from distill.objectives.objective import Objective
from distill.sequences.batch import Batch, everywhere


def reporting_at(batch: Batch, marker: int) -> Tensor:
    """Return the positions after the first marker that the policy wrote in each sequence."""
    written_BT = (batch.tokens_BT == marker) & batch.mask_BT
    before_BT = written_BT.cumsum(1) - written_BT.long()
    return before_BT > 0


def answering(objective: Objective, *, marker: int) -> Objective:
    """Return the objective over the answers, their markers included."""
    return _masked(objective, lambda batch: ~reporting_at(batch, marker))


def reporting(objective: Objective, *, marker: int) -> Objective:
    """Return the objective over the reports alone."""
    return _masked(objective, lambda batch: reporting_at(batch, marker))


def report_reward(stated_BK: Tensor, actual_BK: Tensor) -> Tensor:
    """Return the mean over K rewards of 1 - (stated - actual)^2, 0 for one not stated (NaN)."""
    score_BK = BRIER.score(stated_BK, actual_BK)
    return torch.where(stated_BK.isnan(), 0, score_BK).mean(-1)


def split_credit(answer_B: Tensor, report_B: Tensor, reporting_BT: Tensor) -> Tensor:
    """Return advantage_BT: that of the answer up to the marker, that of the report after it."""
    return torch.where(reporting_BT, report_B.unsqueeze(1), answer_B.unsqueeze(1))


def _masked(objective: Objective, where: Callable[[Batch], Tensor]) -> Objective:
    def narrow(batch: Batch) -> Batch:
        return replace(batch, mask_BT=batch.mask_BT & where(batch))

    return lambda logprobs, batch: objective(logprobs, everywhere(narrow, batch))
