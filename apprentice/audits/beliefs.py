"""How a judge's belief in success moves from step to step, and how much of that is in vain.

A reward for every rise of belief pays exactly the total fall too much (Delta-Belief-RL, Auzina et
al. 2026, arXiv:2602.12342): a policy can farm it by letting its belief swing. There the belief is
the policy's, in the words of the true target; here it is a judge's, in success.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from agent.critics.judge import Judge
from environments.episode import Episode

LEAST_BELIEF = 1e-3
"""Belief below which a judge is not believed: votes give 0 easily, whose logarithm has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Means over attempts, in nats."""

    attempts: int
    net: float  # the last belief over the first
    fall: float  # total downward movement: what shaping would overpay
    net_solved: float | None  # None: no attempt was solved
    net_unsolved: float | None  # None: all were


async def believe(judge: Judge, attempts: Sequence[Episode]) -> Beliefs:
    """Return how the judge's belief moved over these attempts, at least one."""
    told = await asyncio.gather(*(judge.beliefs(each) for each in attempts))
    return moved(told, [each.solved for each in attempts])


def moved(told: Sequence[Sequence[float]], solved: Sequence[bool]) -> Beliefs:
    """Return the movement of beliefs, each from before the first step to after the last one."""
    import torch

    from distill.signals.belief import oscillation, shift

    nets, falls = list[float](), list[float]()
    for chances in told:
        belief_1S = torch.tensor([[log(max(each, LEAST_BELIEF)) for each in chances]])
        shift_1S = shift(belief_1S, torch.ones(1, len(chances) - 1, dtype=torch.bool))
        nets.append(float(shift_1S.sum()))
        falls.append(float(oscillation(shift_1S)))
    won = [net for net, end in zip(nets, solved, strict=True) if end]
    lost = [net for net, end in zip(nets, solved, strict=True) if not end]
    return Beliefs(
        attempts=len(nets),
        net=sum(nets) / len(nets),
        fall=sum(falls) / len(falls),
        net_solved=sum(won) / len(won) if won else None,
        net_unsolved=sum(lost) / len(lost) if lost else None,
    )
