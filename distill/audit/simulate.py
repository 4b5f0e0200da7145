"""Worlds in which the truth about self-improvement is known, to hold the instruments to it.

A table of answers stands for the model: a round of training on accepted answers is then exact, so
what goes wrong is the verifier's doing and nothing else.

Shape suffixes: P prompts, A answers (the first is right), N samples of a prompt.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from distill.audit.gap import Gap, measure
from distill.signals.anchors import Allowance, Anchored, allow
from environments.anchor import Anchor

Floats = NDArray[np.float64]

ANSWERS = 12
LABELED_PROMPTS, LABELED_SAMPLES = 400, 32
"""Labeled prompts, and samples of each, on which a simulated loop measures its gap every round."""


class World(StrEnum):
    """What the verifier knows."""

    GOLD = "gold"
    SYMMETRIC = "noisy, same error for every wrong answer"
    SYSTEMATIC = "noisy, answer-specific"
    NO_SIGNAL = "no signal"  # facts a model cannot check


def binary_gap(rate: float, true_positive: float, false_positive: float) -> float:
    """Return the gap of a yes/no verifier: p(1-p)(a-b) / (pa + (1-p)b)."""
    accepted = rate * true_positive + (1 - rate) * false_positive
    return rate * (1 - rate) * (true_positive - false_positive) / accepted


def sampled_gap(rate: float, true_positive: float, false_positive: float, samples: int) -> float:
    """Return the mean of the estimate from so many samples; an empty filter counts as no gap."""
    accepted = rate * true_positive + (1 - rate) * false_positive
    empty = (1 - accepted) ** samples
    kept = rate * true_positive / accepted * (1 - empty)
    return kept - rate + empty * rate * (1 - true_positive) / (1 - accepted)


@dataclass(frozen=True, slots=True)
class Table:
    """A model as the chance of each answer, and its verifier as the chance to accept it."""

    policy_PA: Floats
    accept_PA: Floats

    @property
    def rates(self) -> Floats:
        """Return the accuracy at each prompt."""
        return self.policy_PA[:, 0]

    @property
    def accuracy(self) -> float:
        return float(self.rates.mean())

    def pass_at(self, k: int) -> float:
        return float((1 - (1 - self.rates) ** k).mean())

    @property
    def gap(self) -> float:
        """Return the exact gap, over infinitely many samples."""
        return float((self.trained(1.0).rates - self.rates).mean())

    def trained(self, strength: float | Floats) -> "Table":
        """Return the model after one exact round; strength 0 leaves it, 1 copies what it accepts.

        Args:
            strength: one for all, or one for each prompt as (P, 1).
        """
        filtered_PA = self.policy_PA * self.accept_PA**strength
        return Table(filtered_PA / filtered_PA.sum(axis=1, keepdims=True), self.accept_PA)


def table(world: World, prompts: int, rng: Generator) -> Table:
    """Return an untrained model that solves about 55 %, and a verifier of this world."""
    policy_PA = np.zeros((prompts, ANSWERS))
    policy_PA[:, 0] = rng.beta(1.2, 1.0, size=prompts)
    wrong_PA = rng.dirichlet(np.ones(ANSWERS - 1) * 0.5, size=prompts)
    policy_PA[:, 1:] = wrong_PA * (1 - policy_PA[:, :1])
    return Table(policy_PA, _acceptance(world, policy_PA.shape, rng))


def _acceptance(world: World, shape: tuple[int, ...], rng: Generator) -> Floats:
    right = np.arange(shape[1]) == 0
    informed_PA = np.broadcast_to(np.where(right, 0.75, 0.45), shape)
    match world:
        case World.GOLD:
            return np.broadcast_to(np.where(right, 1.0, 1e-9), shape)
        case World.SYMMETRIC:
            return informed_PA
        case World.SYSTEMATIC:
            return np.clip(informed_PA + 0.2 * rng.normal(size=shape), 0.02, 1.0)
        case World.NO_SIGNAL:
            return np.clip(0.6 + 0.2 * rng.normal(size=shape), 0.02, 1.0)


def self_improvement(world: World, rounds: int, prompts: int, rng: Generator) -> Iterator[Table]:
    """Yield the model before each round of training on all that its verifier accepts."""
    model = table(world, prompts, rng)
    for _ in range(rounds):
        yield model
        model = model.trained(1.0)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a loop that asks the anchor policy first."""

    accuracy: float  # before it, by gold answers
    gap: Gap  # as measured on labeled prompts
    allowance: Allowance  # one weight a prompt


def anchored_loop(
    world: World, external_share: float, rounds: int, prompts: int, rng: Generator
) -> Iterator[Round]:
    """Yield the rounds of a loop until the anchor policy refuses one, that one included.

    A share of the prompts carries gold answers; the others are judged by the model itself. A
    prompt is trained in proportion to the weight that the policy leaves it.
    """
    own = table(world, prompts, rng)
    external_P1 = (np.arange(prompts) < external_share * prompts)[:, None]
    gold_PA = _acceptance(World.GOLD, own.policy_PA.shape, rng)
    model = Table(own.policy_PA, np.where(external_P1, gold_PA, own.accept_PA))
    samples = [
        Anchored(Anchor.ENVIRONMENT if external else Anchor.SELF, world.value)
        for external in external_P1[:, 0]
    ]
    for _ in range(rounds):
        gap = sampled(Table(model.policy_PA, own.accept_PA), rng)
        allowance = allow(samples, {world.value: gap.gap_interval})
        yield Round(model.accuracy, gap, allowance)
        if allowance.refused:
            return
        model = model.trained(np.array(allowance.weights)[:, None])


def sampled(model: Table, rng: Generator) -> Gap:
    """Return the gap as the instrument measures it, from samples of some labeled prompts."""
    prompts = rng.choice(len(model.policy_PA), min(LABELED_PROMPTS, len(model.policy_PA)), False)
    cumulative_PA = model.policy_PA[prompts].cumsum(axis=1)
    lot_PN = rng.random((len(prompts), LABELED_SAMPLES)) * cumulative_PA[:, -1:]
    answer_PN = (lot_PN[:, :, None] >= cumulative_PA[:, None, :]).sum(axis=2)
    accept_PN = np.take_along_axis(model.accept_PA[prompts], answer_PN, axis=1)
    kept_PN = rng.random(answer_PN.shape) < accept_PN
    return measure((answer_PN == 0).astype(float), kept_PN.astype(float), rng)
