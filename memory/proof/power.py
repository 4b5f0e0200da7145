"""How often a gate promotes, and how soon, when the truth is known: its operating curve.

A user asks it before paying for rollouts ("could 200 tasks show 10 points?"), our benches ask it to
hold the gate to its promises. Simulated pairs go through the same lines as real ones.

Shape suffixes: G simulated gates, T pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import gammaln, xlogy

from memory.proof.sequential import Counts, Flags, Floats, Plan, critical_wins, hopeless_below


@dataclass(frozen=True, slots=True)
class Joint:
    """The truth about one pair: chances of a win, a loss, and hence of a tie."""

    win: float
    loss: float

    @property
    def gain(self) -> float:
        return self.win - self.loss


def joint(incumbent: float, candidate: float, correlation: float) -> Joint:
    """Return the truth for two success rates whose outcomes on one task correlate so (phi).

    >>> joint(0.5, 0.75, 0.0)
    Joint(win=0.375, loss=0.125)
    """
    spread = (incumbent * (1 - incumbent) * candidate * (1 - candidate)) ** 0.5
    both = incumbent * candidate + correlation * spread
    if not max(0.0, incumbent + candidate - 1) <= both <= min(incumbent, candidate):
        raise ValueError(f"rates {incumbent} and {candidate} cannot correlate by {correlation}")
    return Joint(candidate - both, incumbent - both)


def draw(truth: Joint, gates: int, pairs: int, rng: Generator) -> tuple[Flags, Flags]:
    """Return which pairs are wins and which are losses, for each gate."""
    lot_GT = rng.random((gates, pairs))
    return lot_GT < truth.win, (lot_GT >= truth.win) & (lot_GT < truth.win + truth.loss)


@dataclass(frozen=True, slots=True)
class Course:
    """How simulated gates went, one entry a gate."""

    promoted_G: Flags
    stopped_G: Counts  # pairs played when it was decided

    @property
    def share(self) -> float:
        return float(self.promoted_G.mean())

    @property
    def median_pairs(self) -> float:
        return float(np.median(self.stopped_G))


def run(win_GT: Flags, loss_GT: Flags, plan: Plan) -> Course:
    """Return the course of gates that are looked at after every pair and stop when decided."""
    wins_GT, losses_GT = win_GT.cumsum(axis=1), loss_GT.cumsum(axis=1)
    discordant_GT = wins_GT + losses_GT
    proven_GT = wins_GT >= critical_wins(win_GT | loss_GT, plan)
    played_T = np.arange(1, plan.pairs + 1)
    lost_GT = wins_GT - losses_GT < hopeless_below(played_T, discordant_GT, plan)
    decided_GT = proven_GT | lost_GT
    decided_GT[:, -1] = True
    stopped_G = decided_GT.argmax(axis=1)
    return Course(proven_GT[np.arange(len(proven_GT)), stopped_G], stopped_G + 1)


def ceiling(truth: Joint, plan: Plan) -> float:
    """Return the power that no test at this level can exceed with this many pairs.

    Neyman and Pearson 1933: the most powerful test of "wins and losses equally likely, ties as
    likely as they are" against this very truth, computed over all outcomes. A gate that promises
    more is wrong about its level.
    """
    wins, losses = np.meshgrid(*[np.arange(plan.pairs + 1)] * 2, indexing="ij")
    possible = wins + losses <= plan.pairs
    wins, losses = wins[possible], losses[possible]
    counts = np.stack([wins, losses, plan.pairs - wins - losses], axis=1)
    tie = 1 - truth.win - truth.loss
    even = (truth.win + truth.loss) / 2
    null = _chances(counts, (even, even, tie), plan.pairs)
    likely = _chances(counts, (truth.win, truth.loss, tie), plan.pairs)
    ratio = xlogy(wins, truth.win / even) + xlogy(losses, truth.loss / even)
    order = np.argsort(-ratio, kind="stable")
    spent = null[order].cumsum()
    whole = spent <= plan.level
    edge = int(whole.sum())
    rest = (plan.level - (spent[edge - 1] if edge else 0.0)) / null[order][edge]
    return float(likely[order][:edge].sum() + rest * likely[order][edge])


def _chances(counts: Counts, rates: tuple[float, float, float], pairs: int) -> Floats:
    ways = gammaln(pairs + 1) - gammaln(counts + 1).sum(axis=1)
    return np.exp(ways + xlogy(counts, np.array(rates)).sum(axis=1))
