"""Whoever acts: the contract of a policy.

A policy is given a turn and writes a completion. It neither knows the environment nor judges
itself, so a cloud model, a model in this process and a script are exchangeable.
"""

from typing import Protocol

from environments.episode import Completion
from environments.transcript import Turn


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
