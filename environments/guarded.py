"""What all plays have in common: what is seen now, and that nothing goes on after the end.

A world then says only what an action does.
"""

from abc import ABC, abstractmethod

from environments.environment import Observation


class GuardedPlay(ABC):
    """A play that refuses to go on once it has ended or was closed."""

    __slots__ = ("_closed", "_observation")

    def __init__(self, opening: Observation) -> None:
        self._closed = False
        self._observation = opening

    @property
    def observation(self) -> Observation:
        return self._observation

    def step(self, action: str) -> Observation:
        if self._closed or self._observation.ending is not None:
            raise RuntimeError("this play is over; start the task again")
        self._observation = self._after(action)
        return self._observation

    def close(self) -> None:
        self._closed = True

    @abstractmethod
    def _after(self, action: str) -> Observation:
        """Return what is seen after an action, which need not be a legal one."""
