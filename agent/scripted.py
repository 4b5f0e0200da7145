"""The policies that need no model: one for tests, and the floor of every comparison."""

from collections.abc import Callable, Sequence
from random import Random

from environments.episode import Completion
from environments.transcript import Origin, Turn

WIDTH = 64
"""Turns at once. They take no time, so this only has to keep the machinery around them busy."""


class Scripted:
    """A policy that writes what it was told: one text a step, or a function of the turn."""

    name = "scripted"
    temperature: float | None = 0.0
    width = WIDTH

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
    width = WIDTH

    async def complete(self, turn: Turn) -> Completion:
        """Choose; where any text is an action there is nothing to choose from, and it is silent."""
        if not turn.admissible:
            return Completion(text="")
        return Completion(text=Random(turn.seed).choice(turn.admissible))

    async def close(self) -> None:
        """Hold nothing."""
