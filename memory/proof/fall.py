"""Has a share solved fallen since it was examined? A comparison that may be looked at for ever.

An exam says how able a policy is only roughly: who solved 34 of 40 may solve 70 % or 93 %. To hold
it to the lower end of an interval forgives every fall that stays above it; here the exam counts as
what it is, a sample, and both samples decide together.

Shape suffixes: N pairs of counts, K nodes of an integral, T episodes in their order, F failures.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaln

from memory.proof.sequential import LARGEST_LOG, UNDERFLOW, Counts, Floats

JEFFREYS = 0.5
"""Pseudo-counts of either outcome before the exam (Jeffreys 1946): the same on any scale."""

NODES = 200
"""Of Gauss and Legendre's rule; with four times as many no evidence moves by a millionth."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was tried."""

    solved: int
    failed: int


def fallen(solved: ArrayLike, failed: ArrayLike, exam: Tally) -> Floats:
    """Return the e-value that less is solved than in the exam, valid at every look.

    The exam makes of Jeffreys' prior what is believed of the share p. If nothing changed, that also
    predicts what comes; if it fell, to anywhere between 0 and p alike, a mixture over all falls
    does. The ratio of the two predictions starts at 1, and over all policies that the prior allows
    its mean stays 1 while nothing changes: so it ever reaches 1/level with at most the chance
    `level` (Ville 1939). At one given share that is no theorem; `withdrawn` computes what it is.

    >>> fallen([6, 17, 0], [0, 3, 5], Tally(34, 6)).round(2).tolist()
    [0.14, 0.16, 705.81]
    """
    solved_N, failed_N = np.asarray(solved, float), np.asarray(failed, float)
    ours, theirs = exam.solved + JEFFREYS, exam.failed + JEFFREYS
    share_K, believed_K = _believed(exam)
    below_NK = betainc(solved_N[..., None] + 1, failed_N[..., None] + 1, share_K)
    mixed_N = (below_NK / share_K) @ believed_K
    log_fell_N = betaln(solved_N + 1, failed_N + 1) + np.log(np.maximum(mixed_N, UNDERFLOW))
    log_same_N = betaln(ours + solved_N, theirs + failed_N) - betaln(ours, theirs)
    return np.exp(np.minimum(log_fell_N - log_same_N, LARGEST_LOG))


@lru_cache(64)
def _believed(exam: Tally) -> tuple[Floats, Floats]:
    """Return shares and how much each is believed in after an exam, to sum over.

    In the angle whose squared sine is the share Jeffreys' prior is even, and nothing is singular.
    """
    node_K, weight_K = np.polynomial.legendre.leggauss(NODES)
    angle_K = (node_K + 1) * np.pi / 4
    log_likely_K = 2 * exam.solved * np.log(np.sin(angle_K))
    log_likely_K += 2 * exam.failed * np.log(np.cos(angle_K))
    believed_K = weight_K * np.exp(log_likely_K - log_likely_K.max())
    return np.sin(angle_K) ** 2, believed_K / believed_K.sum()


def fewest_failures(exam: Tally, level: float, episodes: int) -> Counts:
    """Return with how many failures among the first 1, 2, 3 ... the evidence reaches 1/level.

    One more success never adds evidence, so the line rises by 0 or 1 an episode; where even
    failures alone are too few it lies above all of them.
    """
    line_T = np.empty(episodes, dtype=np.int64)
    failed = 1
    for played in range(1, episodes + 1):
        while failed <= played and float(fallen(played - failed, failed, exam)) < 1 / level:
            failed += 1
        line_T[played - 1] = failed
    return line_T


def withdrawn(line_T: Counts, share: float) -> Floats:
    """Return the chance that who solves this share has met the line by each episode; exact."""
    going_F = np.zeros(len(line_T) + 2)
    going_F[0] = 1.0
    met_T = np.empty(len(line_T))
    for at, line in enumerate(line_T):
        going_F[1:] = going_F[1:] * share + going_F[:-1] * (1 - share)
        going_F[0] *= share
        met_T[at] = going_F[line:].sum()
        going_F[line:] = 0.0
    return met_T.cumsum()
