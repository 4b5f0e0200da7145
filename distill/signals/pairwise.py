"""Attempts at one task judged against each other by the policy itself, without any reference.

Self-Examining RL (arXiv:2511.07922, read at the level of its abstract; the tie rule and the
judge's reward are our reading). The mean score of a group is 1/2 whatever the judge says, so
nothing here measures absolute quality: evaluate outside.

Shape suffixes: M attempts of one group; a matrix _MM reads row against column.
"""

import torch
from torch import Tensor


def tally(first_MM: Tensor) -> Tensor:
    """Return wins_MM (1 row won, 0 column won, 1/2 tie) from verdicts in both orders.

    first_MM[i, j] is the judge's verdict with i shown first and j second: 1 for the first, 0 for
    the second, anything between for a tie or an answer that could not be read. A win needs both
    orders to agree; the diagonal is not read.
    """
    won_MM = (first_MM == 1) & (first_MM.T == 0)
    lost_MM = (first_MM == 0) & (first_MM.T == 1)
    return 0.5 + 0.5 * won_MM.to(first_MM.dtype) - 0.5 * lost_MM.to(first_MM.dtype)


def copeland(wins_MM: Tensor) -> Tensor:
    """Return the share of the other attempts that each one beat, a tie counting one half.

    An attempt without rivals scores 1/2.
    """
    rivals = len(wins_MM) - 1
    if rivals == 0:
        return torch.full_like(wins_MM[0], 0.5)
    return _off_diagonal(wins_MM).sum(1) / rivals


def cycles(wins_MM: Tensor) -> int:
    """Return the number of triples in which the judge contradicts itself: a > b > c > a.

    Without ties it equals C(M, 3) minus the sum of C(wins, 2).
    """
    beats_MM = _beats(wins_MM)
    return round(float((beats_MM @ beats_MM @ beats_MM).trace()) / 3)


def consistency(wins_MM: Tensor) -> Tensor:
    """Return the judge's reward for each pair: 1 minus the share of triples it makes cyclic.

    A tie is part of no cycle, so a judge that always ties is perfectly consistent and useless:
    never train the judge on this alone.
    """
    triples = len(wins_MM) - 2
    if triples <= 0:
        return torch.ones_like(wins_MM)
    beats_MM = _beats(wins_MM)
    through_MM = beats_MM * (beats_MM @ beats_MM).T  # i > j, and some k with j > k > i
    return 1 - (through_MM + through_MM.T) / triples


def position_bias(first_MM: Tensor) -> float:
    """Return how often the one shown first is preferred; 0.5 is fair."""
    count = len(first_MM)
    if count == 1:
        return 0.5
    return float(_off_diagonal(first_MM).sum()) / (count * (count - 1))


def length_correlation(score_M: Tensor, length_M: Tensor) -> float:
    """Return Pearson's correlation of score and length; 0 where either does not vary.

    Close to 1, the judge counts words.
    """
    score_M, length_M = score_M - score_M.mean(), length_M - length_M.mean()
    norm = float(score_M.norm() * length_M.norm())
    return float(score_M @ length_M) / norm if norm > 0 else 0.0


def _beats(wins_MM: Tensor) -> Tensor:
    return _off_diagonal((wins_MM == 1).to(wins_MM.dtype))


def _off_diagonal(value_MM: Tensor) -> Tensor:
    return value_MM - torch.diag(value_MM.diagonal())
