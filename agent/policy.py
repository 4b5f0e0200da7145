"""Whoever acts: the contract of a policy, and the two that need no model.

A policy is given a turn and writes a completion. It neither knows the environment nor judges
itself, so a cloud model, a model in this process and a script are exchangeable.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from environments.episode import Completion
from environments.transcript import Origin, Turn


class Policy(Protocol):
    """Asked by many coroutines at once; one that has a machine to fill batches their turns."""

    @property
    def name(self) -> str: ...

    @property
    def temperature(self) -> float | None:
        """The temperature it samples at; None: it does not tell."""
        ...

    @property
    def width(self) -> int:
        """How many turns it can work on at once."""
        ...

    async def complete(self, turn: Turn) -> Completion:
        """Write what comes next in the turn's transcript.

        Raises:
            UserError: it cannot work, and someone can mend that; the practice stops.
        """
        ...

    async def close(self) -> None:
        """Free what the policy holds; may be called twice."""
        ...


class Scripted:
    """A policy that writes what it was told: one text a step, or a function of the turn."""

    name = "scripted"
    temperature: float | None = 0.0
    width = 64

    def __init__(self, script: Sequence[str] | Callable[[Turn], str]) -> None:
        self._script = script

    async def complete(self, turn: Turn) -> Completion:
        if callable(self._script):
            return Completion(text=self._script(turn))
        written = sum(message.origin is Origin.POLICY for message in turn.messages)
        return Completion(text=self._script[written] if written < len(self._script) else "")

    async def close(self) -> None:
        """Hold nothing."""


class RandomPolicy:
    """The floor of every comparison: each admissible action is equally likely."""

    name = "random"
    temperature: float | None = None
    width = 64

    async def complete(self, turn: Turn) -> Completion:
        """Choose; where any text is an action there is nothing to choose from, and it is silent."""
        if not turn.admissible:
            return Completion(text="")
        return Completion(text=Random(turn.seed).choice(turn.admissible))

    async def close(self) -> None:
        """Hold nothing."""
