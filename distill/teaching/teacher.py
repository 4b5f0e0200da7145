"""How a teacher moves: parameters that trail the student's, or logits kept near a reference's.

A teacher that is the live student drifts with it and diverges (SDPO, arXiv:2601.20802, table 4:
best accuracy 36.1 unregularized, 48.8 frozen, 49.3 averaged, 50.6 trust region). Nothing here
knows what a model is.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

TRAILING_RATE = 0.01
"""Share of the way to the student that a trailing teacher moves per step.

SDPO with rich feedback; its released script means 0.01 and runs at 0.05. At 0.05 a continual run
forgot (arXiv:2607.01763).
"""

MANTISSA_FLOOR = 1e-6
"""Coarsest rounding in which an average moves: in bfloat16 (8e-3) a step of 0.01 rounds away."""


@torch.no_grad()
def follow(teacher: Iterable[Tensor], student: Iterable[Tensor], *, rate: float) -> None:
    """Move each of the teacher's parameters `rate` of the way to the student's, in place.

    theta' <- (1 - rate) theta' + rate theta. Rate 0 freezes the teacher and 1 copies the student,
    both to the bit. After n steps toward a student at rest a share `lag(rate, n)` of the first
    distance is left.
    """
    for trailing, leading in zip(teacher, student, strict=True):
        if torch.finfo(trailing.dtype).eps > MANTISSA_FLOOR:
            raise TypeError(f"a teacher in {trailing.dtype} would never move; keep it in float32")
        trailing.lerp_(leading.to(trailing.dtype), rate)


def lag(rate: float, steps: int) -> float:
    """Return the share of its first distance that a trailing teacher keeps after some steps.

    >>> round(lag(0.01, 69), 2)  # 69 steps halve the distance
    0.5
    """
    return (1 - rate) ** steps


def trust_region(reference_NV: Tensor, student_NV: Tensor, *, rate: float) -> Tensor:
    """Return the log-probabilities of the teacher between two models, from their logits.

    Proportional to reference^(1 - rate) student^rate: the softmax of interpolated logits, which is
    not the average of log-probabilities (that one does not sum to 1). Both sides must have read
    the same feedback: the reference is the initial teacher, not the initial policy.
    """
    return torch.log_softmax(torch.lerp(reference_NV, student_NV, rate), -1).detach()
