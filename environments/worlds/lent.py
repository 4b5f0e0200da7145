"""Plays whose games run elsewhere, in a Java machine or a process: an engine is lent for each.

Engines are slow to make and play one game after another, so a finished play gives its own back.
One that failed in the middle of an answer is not lent again: nobody knows in what state it is.
"""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from environments.environment import Observation, ongoing
from environments.guarded import GuardedPlay
from environments.transcript import NOT_AN_ACTION

Game = TypeVar("Game")
GameAsked = TypeVar("GameAsked", contravariant=True)


class Engine(Protocol[GameAsked]):
    """What plays one game at a time. It frees what it holds when it is no longer used."""

    def begin(self, game: GameAsked) -> Observation:
        """Begin a game, whatever was played before."""
        ...

    def act(self, action: str) -> Observation: ...


class Pool(Generic[Game]):
    """Engines that nobody plays with. Shared between threads."""

    def __init__(self, make: Callable[[], Engine[Game]], *, waits: bool) -> None:
        """Begin without engines; as many are made as plays go on at once.

        Args:
            make: makes an engine.
            waits: whether its answers take milliseconds, so that others had better go on meanwhile.
        """
        self.waits = waits
        self._make = make
        self._free: list[Engine[Game]] = []
        self._lock = threading.Lock()

    def take(self) -> Engine[Game]:
        """Return an engine that nobody else has."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._make()

    def give_back(self, engine: Engine[Game]) -> None:
        """Let others have an engine."""
        with self._lock:
            self._free.append(engine)


class LentPlay(GuardedPlay, Generic[Game]):
    """One game in play, in an engine that it has to itself until it is closed."""

    def __init__(self, pool: Pool[Game], game: Game) -> None:
        self._pool = pool
        self._game = game
        self._done: list[str] = []
        engine = pool.take()
        super().__init__(engine.begin(game))
        self._lent = [engine]  # none: closed, or it failed

    @property
    def waits(self) -> bool:
        return self._pool.waits

    def fork(self) -> "LentPlay[Game]":
        """Return a play that goes on from here by itself; it is led here again by its actions."""
        twin = LentPlay(self._pool, self._game)
        for action in self._done:
            twin.step(action)
        twin._observation = self._observation
        return twin

    def close(self) -> None:
        super().close()
        while self._lent:
            self._pool.give_back(self._lent.pop())

    def _after(self, action: str) -> Observation:
        action = action.strip()
        admissible = self._observation.admissible
        if admissible and action not in admissible:
            return ongoing(NOT_AN_ACTION, admissible)
        engine = self._lent.pop()
        self._closed = True  # unless it answers
        seen = engine.act(action)
        self._closed = False
        self._lent.append(engine)
        self._done.append(action)
        return seen
