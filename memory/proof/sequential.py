"""Tests on a stream of outcomes that may be looked at after every one.

A fixed-size test that is looked at repeatedly rejects far more often than it says. Two answers:
`critical_wins` spends a level over a known number of pairs, exactly, and has nearly the power of
the fixed-size test; `evidence` needs no horizon and stays valid for ever, at some cost in power.

Shape suffixes: G independent comparisons, T pairs in the order in which they were played, W wins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln, ndtri

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

ROUNDING = 1e-15
"""Slack in comparing sums of probabilities; far below any level in use."""


UNDERFLOW = 1e-290
LARGEST_LOG = 700.0
"""Where floating point ends: evidence is reported as at most e^700."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one comparison is made; fixed before its first pair is played."""

    level: float = 0.05  # chance of promoting a candidate that is no better, over all looks
    pairs: int = 200  # at most; the level is spent when they are played
    worthwhile: float = 0.10  # the gain in share solved that we would be sorry to miss
    hopeless: float = 0.10  # give up when a worthwhile candidate had less than this chance left
    patience: float = 2.0
    """By pair t of T, the level times (t/T)^patience is spent (Kim and DeMets 1987).

    At a gain of 10 points 1, 2 and 3 have a power of 84, 87 and 89 % where no test can have over
    91, and decide after 109, 121 and 128 pairs (python -m bench.gate).
    """

    def __post_init__(self) -> None:
        shares = (self.level, self.worthwhile, self.hopeless)
        if not all(0 < share < 1 for share in shares) or self.pairs < 1 or self.patience <= 0:
            raise ValueError(f"{self!r}: shares lie between 0 and 1, pairs and patience above 0")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What going on would bring if the rates seen so far are the true ones."""

    chance: float  # of promotion before the plan runs out
    further_pairs: float  # expected until a decision


def critical_wins(discordant_GT: Flags, plan: Plan) -> Counts:
    """Return the wins that prove the candidate better at each pair, for each comparison.

    Which pairs are discordant says nothing about who won them, so each discordant pair is a coin
    toss under the null whatever the pattern. We carry the exact distribution of the wins of a fair
    coin that has not been stopped yet, and at each pair stop the largest tail that the level spent
    so far allows. The chance of ever reaching the line is therefore at most the level, however
    often one looks; a worse candidate wins fewer tosses and reaches it more rarely.
    """
    comparisons, played = discordant_GT.shape
    widest = int(discordant_GT.sum(axis=1).max(initial=0)) + 2
    going_GW = np.zeros((comparisons, widest))
    going_GW[:, 0] = 1.0
    spent_G = np.zeros(comparisons)
    critical_GT = np.zeros((comparisons, played), dtype=np.int64)
    for t in range(played):
        tossed = discordant_GT[:, t]
        going_GW[tossed] = _toss(going_GW[tossed], 0.5)
        tail_GW = going_GW[:, ::-1].cumsum(axis=1)[:, ::-1]
        allowed_G = plan.level * ((t + 1) / plan.pairs) ** plan.patience - spent_G
        stop_GW = tail_GW <= allowed_G[:, None] + ROUNDING
        critical_GT[:, t] = stop_GW.argmax(axis=1)
        spent_G += (going_GW * stop_GW).sum(axis=1)
        going_GW[stop_GW] = 0.0
    return critical_GT


def _toss(going_GW: Floats, win: float) -> Floats:
    moved_GW = going_GW * (1 - win)
    moved_GW[:, 1:] += going_GW[:, :-1] * win
    return moved_GW


def hopeless_below(played: ArrayLike, discordant: ArrayLike, plan: Plan) -> Floats:
    """Return the score, wins minus losses, under which going on is a waste.

    Under it, a candidate with exactly the worthwhile gain would still be promoted with less than
    the chance `plan.hopeless`, by the normal approximation. Giving up can only lower the chance of
    promotion, so an approximation is safe.
    """
    played_N, discordant_N = np.asarray(played, float), np.asarray(discordant, float)
    rate_N = np.maximum((discordant_N + 1) / (played_N + 2), plan.worthwhile)
    rest_N = np.maximum(plan.pairs - played_N, 0)
    needed_N = -float(ndtri(plan.level)) * np.sqrt(rate_N * plan.pairs)
    spread_N = np.sqrt((rate_N - plan.worthwhile**2) * rest_N)
    return needed_N - plan.worthwhile * rest_N + float(ndtri(plan.hopeless)) * spread_N


def outlook(discordant_T: Flags, wins: int, plan: Plan) -> Outlook:
    """Return what going on would bring, by walking the exact distribution to the plan's end.

    Rates are those seen, with one pseudo-count each; future discordant pairs are spread evenly.
    """
    played, discordant = len(discordant_T), int(discordant_T.sum())
    rate, win = (discordant + 1) / (played + 2), (wins + 1) / (discordant + 2)
    ahead = np.floor(rate * np.arange(plan.pairs - played + 1)).astype(np.int64)
    pattern_T = np.concatenate([discordant_T, np.diff(ahead) > 0])
    critical_T = critical_wins(pattern_T[None], plan)[0]
    going_W = np.zeros(int(pattern_T.sum()) + 2)
    going_W[wins] = 1.0
    wins_W = np.arange(len(going_W))
    chance = further = 0.0
    for t in range(played, plan.pairs):
        further += float(going_W.sum())
        if pattern_T[t]:
            going_W = _toss(going_W[None], win)[0]
        chance += float(going_W[critical_T[t] :].sum())
        discordant = int(pattern_T[: t + 1].sum())
        lost_W = 2 * wins_W - discordant < hopeless_below(t + 1, discordant, plan)
        going_W[lost_W | (wins_W >= critical_T[t])] = 0.0
    return Outlook(chance, further)


def evidence(hits: ArrayLike, misses: ArrayLike, null: float = 0.5) -> Floats:
    """Return the e-value against "a hit has at most the chance `null`", valid at every look.

    The wealth of a gambler who starts with 1 and spreads it evenly over all hit rates above the
    null (Robbins 1970; Shafer 2021). Under the null it ever reaches 1/level with at most the
    chance `level` (Ville 1939), so one may stop, go on, or multiply the evidence of fresh data.

    >>> evidence([0, 5, 20], [0, 5, 5]).round(2).tolist()
    [1.0, 0.37, 48.52]
    """
    hits_N, misses_N = np.asarray(hits, float), np.asarray(misses, float)
    above_N = betaincc(hits_N + 1, misses_N + 1, null)
    log_mixture_N = betaln(hits_N + 1, misses_N + 1) - np.log1p(-null)
    log_bet_N = log_mixture_N - hits_N * np.log(null) - misses_N * np.log1p(-null)
    log_all_N = np.log(np.maximum(above_N, UNDERFLOW)) + log_bet_N
    # So few hits that the share of the mixture above the null is no number any more: there the
    # wealth falls off exponentially in the rate, and its integral is one over the slope.
    slope_N = np.maximum(misses_N - hits_N * (1 - null) / null, 1.0)
    return np.where(above_N > UNDERFLOW, np.exp(np.minimum(log_all_N, LARGEST_LOG)), 1 / slope_N)
