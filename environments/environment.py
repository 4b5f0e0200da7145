"""The contract between an environment and whoever acts in it.

An environment is a catalogue of tasks; starting one gives a play, which is used once. A play is
deterministic: the same task and the same actions give the same observations, which is what lets a
killed episode resume, a demonstration be replayed, and a search look ahead.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from environments.episode import Ending, Episode, Split, Task


@dataclass(frozen=True, slots=True)
class Observation:
    """What a play shows. Made by `ongoing`, `solved` or `failed`, so that no odd mix is spelled."""

    text: str
    admissible: tuple[str, ...]  # sorted; empty: any text is an action
    reward: float
    ending: Ending | None  # None: it goes on


def ongoing(text: str, admissible: Sequence[str] = (), *, reward: float = 0.0) -> Observation:
    """Return an observation after which the play goes on."""
    return Observation(text, tuple(admissible), reward, None)


def solved(text: str, *, reward: float = 1.0) -> Observation:
    """Return the last observation of a play whose goal was reached."""
    return Observation(text, (), reward, Ending.SOLVED)


def failed(text: str, *, reward: float = 0.0) -> Observation:
    """Return the last observation of a play whose goal can no longer be reached."""
    return Observation(text, (), reward, Ending.FAILED)


class Play(Protocol):
    """One task in play."""

    @property
    def observation(self) -> Observation:
        """What is seen now. The first one states the goal."""
        ...

    def step(self, action: str) -> Observation:
        """Act, and return what is seen then.

        An action that is not admissible changes nothing and is answered in the environment's own
        words; it never raises.

        Raises:
            RuntimeError: the play has ended or was closed.
        """
        ...

    def close(self) -> None:
        """Free what the play holds; may be called twice."""
        ...


def takes_long(thing: object) -> bool:
    """Return whether the steps of a play, or the starts of an environment, wait for something.

    It then has a true `waits`, and whoever plays many at once lets others go on in the meantime.
    """
    return bool(getattr(thing, "waits", False))


@runtime_checkable
class Forkable(Protocol):
    """A play that can be copied in the middle, cheaply, to look ahead."""

    def fork(self) -> Self: ...


@runtime_checkable
class Recognizable(Protocol):
    """A play that can tell whether it has come to a moment where another one was."""

    @property
    def state(self) -> Hashable:
        """What decides all that may still happen; not what has been seen on the way."""
        ...


@runtime_checkable
class Retrospective(Protocol):
    """An environment that can say in hindsight what an attempt would have solved."""

    def achieved(self, episode: Episode) -> tuple[Task, ...]:
        """Return other tasks, of the same split, that it may have solved on its way."""
        ...


class Environment(Protocol):
    """A catalogue of tasks. Shared between threads; its plays are not."""

    @property
    def name(self) -> str: ...

    @property
    def instructions(self) -> str:
        """The system message: the rules of this world in its own words."""
        ...

    def tasks(self, split: Split) -> Sequence[Task]:
        """Return the tasks of a split, in an order that never changes."""
        ...

    def task(self, id: str) -> Task:
        """Return the task with this id.

        Raises:
            UnknownNameError: there is none.
        """
        ...

    def start(self, task: Task) -> Play:
        """Begin a task, with nothing done yet."""
        ...

    def gold(self, task: Task) -> tuple[str, ...] | None:
        """Return actions that solve the task, or None where the environment knows none."""
        ...
