"""Three critics behind one protocol: of a moment, of the step that led there, of how it all ended.

All speak in [-1, 1], so that they can be weighed against each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import log, tanh
from types import MappingProxyType
from typing import Protocol

from agent.critics.judge import Judge
from agent.search.tree import Branch
from environments.episode import Ending, Episode

GOOD, BAD = 1.0, -1.0

SURE = 0.999
"""As sure as a critic is taken to be: one that is never wrong outweighs any other, not all."""

NEVER = datetime.fromtimestamp(0, UTC)
"""When a branch was lived: judges are told no times."""


class Aspect(StrEnum):
    """What a critic is asked about."""

    VALUE = "value"  # of the moment at the end of a branch: how likely it leads to the goal
    PROCESS = "process"  # the last step: did it serve the goal?
    OUTCOME = "outcome"  # a branch that is over: did it reach the goal?


class Critic(Protocol):
    """Asked of many branches at once; one that has a machine to fill batches them."""

    @property
    def name(self) -> str: ...

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        """Return a score in [-1, 1] for each branch."""
        ...


@dataclass(frozen=True, slots=True)
class Weighed:
    """A critic, and how much its word counts beside the others'."""

    critic: Critic
    weight: float = 1.0  # AlphaLLM: 1 for each of the three
    evidence: Callable[[float], float] | None = None
    """What its scores have told so far, in log odds; None: it is taken at its word."""

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight {self.weight} for {self.critic.name}; leave the critic out")

    def tells(self, score: float) -> float:
        """Return what a score of it tells, in log odds."""
        return log_odds((score + 1) / 2) if self.evidence is None else self.evidence(score)


Critics = Mapping[Aspect, Weighed]
"""By what they are asked about; one that is absent is not asked."""


@dataclass(slots=True)
class Opinion:
    """What the critics say of one branch."""

    said: dict[Aspect, float] = field(default_factory=dict[Aspect, float])

    def score(self, critics: Critics) -> float:
        """Return what all that was said comes to, in [-1, 1], 0 where nothing was.

        Critics at their word: the weighted mean. AlphaLLM adds the weighted scores up (eq. 6); of
        the mean, exploration means the same whichever critics there are. Where it is known what
        the scores of one have told, all that they tell is added up, as if they erred each by
        itself, and read as a chance from even odds: what is as good as anything comes to 0.
        """
        heard = {aspect: critics[aspect] for aspect in self.said}
        if any(each.evidence is not None for each in heard.values()):
            told = (each.weight * each.tells(self.said[aspect]) for aspect, each in heard.items())
            return tanh(sum(told) / 2)  # 2 sigmoid(x) - 1
        mass = sum(each.weight for each in heard.values())
        whole = sum(each.weight * self.said[aspect] for aspect, each in heard.items())
        return whole / mass if mass else 0.0


async def ask(critics: Critics, aspect: Aspect, branches: Sequence[Branch]) -> Sequence[float]:
    """Return what the critic of an aspect says, clipped to [-1, 1].

    Raises:
        KeyError: there is none.
    """
    if not branches:
        return ()
    scores = await critics[aspect].critic.score(branches)
    return tuple(min(max(each, BAD), GOOD) for each in scores)


class WorldCritic:
    """The outcome judge that asks the environment: its own check, so it is exact."""

    name = "environment"

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        return tuple(GOOD if each.ending is Ending.SOLVED else BAD for each in branches)


class OutcomeJudge:
    """The outcome judge that reads the whole branch: a model's yes or no."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @property
    def name(self) -> str:
        return self._judge.name

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        chances = (self._judge.passes(told(each, self.name)) for each in branches)
        return tuple(signed(each) for each in await asyncio.gather(*chances))


class ProcessJudge:
    """The judge of the last step: a model's yes or no."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @property
    def name(self) -> str:
        return self._judge.name

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        chances = (
            self._judge.served_at(told(each, self.name), len(each.steps) - 1) for each in branches
        )
        return tuple(signed(each) for each in await asyncio.gather(*chances))


class Estimate:
    """A critic made of a function, such as a value head: the chance of each branch, 0 to 1."""

    def __init__(
        self, name: str, chances: Callable[[Sequence[Branch]], Awaitable[Sequence[float]]]
    ) -> None:
        self.name = name
        self._chances = chances

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        return tuple(signed(each) for each in await self._chances(branches))


WORLD_ALONE: Critics = MappingProxyType({Aspect.OUTCOME: Weighed(WorldCritic())})


def signed(chance: float) -> float:
    """Return a chance as a score (AlphaLLM: 2 (p - 0.5)).

    >>> signed(0.75)
    0.5
    """
    return 2 * chance - 1


def log_odds(chance: float) -> float:
    """Return the log odds of a chance, in nats; of one that is all but sure, those of `SURE`.

    >>> log_odds(0.5)
    0.0
    """
    held = min(max(chance, 1 - SURE), SURE)
    return log(held / (1 - held))


def told(branch: Branch, policy: str) -> Episode:
    """Return a branch as judges read attempts."""
    return Episode(
        id=f"branch-{len(branch.steps)}",
        task=branch.task,
        steps=branch.steps,
        ending=branch.ending or Ending.TRUNCATED,
        closing=branch.closing,
        policy=policy,
        seed=0,
        started=NEVER,
        seconds=0.0,
    )
