"""The household world: six kinds of chores in text, generated or ALFWorld's own.

One engine plays both, so what is learned without any data carries over to the benchmark.
"""

from collections.abc import Hashable, Sequence
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Protocol, Self

from environments.environment import Observation, ongoing, solved
from environments.episode import Episode, Split, Task
from environments.guarded import GuardedPlay
from environments.household.engine import House, Move
from environments.household.games import KINDS, NAME, Game, known_kinds, open_games
from environments.household.generator import MOST_OBJECTS, MOST_RECEPTACLES, GeneratedGames
from environments.household.hindsight import asked_instead, asking, deeds, instead, original
from environments.household.state import State
from environments.household.words import WELCOME
from environments.transcript import NOT_AN_ACTION

INSTRUCTIONS = (
    "You do chores in a house. Answer with one action: go to P, open P, close P, take X from P, "
    "move X to P, clean/heat/cool X with P, use X, examine X, look or inventory."
)
"""Read in every episode, so it is short."""

HOUSES_KEPT = 128  # compiled games; one is about 100 kB, and the attempts at one task come together


class Games(Protocol):
    """Where games come from."""

    def tasks(self, split: Split) -> tuple[Task, ...]: ...

    def task(self, id: str) -> Task: ...

    def game(self, task: Task) -> Game: ...


class Houses:
    """What there is to do, whichever engine plays it."""

    name = NAME
    instructions = INSTRUCTIONS
    repeats_lead_nowhere = True

    def __init__(self, games: Games) -> None:
        self._games = games

    @classmethod
    def generated(
        cls,
        *,
        kinds: Sequence[str] = KINDS,
        train: int = 600,
        dev: int = 120,
        test: int = 120,
        max_receptacles: int = MOST_RECEPTACLES,
        max_objects: int = MOST_OBJECTS,
    ) -> Self:
        """Return houses made from seeds, so many of each split; the kinds take turns."""
        counts = {Split.TRAIN: train, Split.DEV: dev, Split.TEST: test}
        return cls(
            GeneratedGames(
                counts,
                kinds=known_kinds(kinds),
                max_receptacles=max_receptacles,
                max_objects=max_objects,
            )
        )

    @classmethod
    def from_games(cls, path: Path, *, kinds: Sequence[str] = KINDS) -> Self:
        """Return ALFWorld's houses from a packed file or the official download."""
        return cls(open_games(path, known_kinds(kinds)))

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return self._games.tasks(split)


class Household(Houses):
    """Chores in a house, as an environment."""

    def __init__(self, games: Games) -> None:
        super().__init__(games)
        self._house = lru_cache(maxsize=HOUSES_KEPT)(self._compile)

    def task(self, id: str) -> Task:
        task, other = self._games.task(original(id)), asked_instead(id)
        return instead(task, *other) if other else task

    def achieved(self, episode: Episode) -> tuple[Task, ...]:
        """Return the other tasks that an attempt may have solved on its way, in that order."""
        return tuple(instead(episode.task, *deed) for deed in deeds(episode.actions))

    def start(self, task: Task) -> "HouseholdPlay":
        house, _ = self._house(task)
        return HouseholdPlay(house, WELCOME.format(view=house.opening, goal=task.goal))

    def gold(self, task: Task) -> tuple[str, ...] | None:
        return self._house(task)[1]

    def _compile(self, task: Task) -> tuple[House, tuple[str, ...] | None]:
        other = asked_instead(task.id)
        if other is None:
            game = self._games.game(task)
            return House(game.problem), game.gold
        game = self._games.game(self._games.task(original(task.id)))
        return House(asking(game.problem, *other)), None


class HouseholdPlay(GuardedPlay):
    """One task in play: a house that does not change and a state that is replaced."""

    __slots__ = ("_house", "_moves", "_state")

    def __init__(self, house: House, opening: str) -> None:
        self._house = house
        super().__init__(self._come_to(house.start, opening))

    def fork(self) -> "HouseholdPlay":
        """Return a play that goes on from here by itself."""
        return copy(self)

    @property
    def state(self) -> Hashable:
        """What decides all that may still happen."""
        return self._state.key

    def _after(self, action: str) -> Observation:
        move = self._moves.get(action.strip())
        if move is None:
            return ongoing(NOT_AN_ACTION, self._observation.admissible)
        return self._come_to(*self._house.apply(self._state, move))

    def _come_to(self, state: State, text: str) -> Observation:
        self._state = state
        if self._house.solved(state):
            self._moves: dict[str, Move] = {}
            return solved(text)
        self._moves = self._house.moves(state)
        return ongoing(text, sorted(self._moves))
