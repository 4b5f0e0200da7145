"""TextWorldExpress (Jansen & Côté 2022, arXiv:2208.01174; Apache-2.0): eight fast text games.

The games run in Java, talked to directly and not through the package's own class, which would
start a Java machine for every play.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UserError, refuse_unknown
from environments.extras import EXTRAS, require
from environments.worlds.jvm import Jvm
from environments.worlds.lent import LentPlay, Pool

NAME = "textworld_express"

INSTRUCTIONS = (
    "You play a text game in a house. Answer with one of the actions that can be taken now, word "
    "for word."
)

OPENING = "{text}\n\nYour task is to: {goal}"

SIZES: Mapping[str, str] = {
    "cookingworld": "numLocations=1,numIngredients=1,numDistractorItems=4,includeDoors=0,"
    "limitInventorySize=0",
    "twc": "numLocations=1,numItemsToPutAway=3,includeDoors=0,limitInventorySize=0",
    "coin": "numLocations=7,numDistractorItems=0,includeDoors=0,limitInventorySize=0",
    "mapreader": "",
    "arithmetic": "",
    "sorting": "",
    "simonsays": "",
    "peckingorder": "",
}
"""The games and how large they are played unless told; empty: the game's own sizes."""

KINDS = tuple(kind for kind in SIZES if kind != "sorting")
"""Played unless others are named; sorting works too, but see `ALONE`."""

ALONE = frozenset({"sorting"})
"""Two of its plays in one Java machine take things from each other: each engine gets its own."""

WANDERING = frozenset({"coin"})
"""Their solutions walk about at random, differently in every process; loops are taken out."""

FOLDS = {
    Split.TRAIN: ("train", range(1000)),
    Split.DEV: ("dev", range(10_000, 11_000)),
    Split.TEST: ("test", range(20_000, 21_000)),
}
"""The package's own folds and the seeds that belong to each."""

JAR = "textworld_express/textworld-express.jar"

Shown: TypeAlias = dict[str, Any]  # what a game says of itself after each action


@dataclass(frozen=True, slots=True)
class Game:
    kind: str
    fold: str
    seed: int
    goal: str
    gold: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """One kind of game in a Java machine; plays one game at a time, and then another."""

    machine: Jvm
    runtime: Any  # its object in Java

    @classmethod
    def loaded(cls, machine: Jvm, kind: str, size: str) -> Self:
        """Return an engine for a kind of game.

        Raises:
            SizeError: the game does not take that size.
        """
        runtime = machine.classes.textworldexpress.runtime.PythonInterface()
        if fault := runtime.load(kind, size):
            raise SizeError(f"{kind} cannot be played as {size!r}: {fault}; change its size")
        return cls(machine, runtime)

    def begin(self, seed: int, fold: str, *, gold: bool = False) -> Shown:
        return json.loads(self.runtime.generateNewGameJSON(seed, fold, gold))

    def act(self, action: str) -> Shown:
        return json.loads(self.runtime.stepJSON(action))

    def goal(self) -> str:
        return str(self.runtime.getTaskDescription()).strip()

    def gold(self) -> tuple[str, ...]:
        """Return the solution of the game, which was begun with it."""
        join = self.machine.classes.java.lang.String.join  # one call, not one for each action
        return tuple(join("\n", self.runtime.getGoldActionSequence()).split("\n"))


class Player:
    """An engine that says what it shows in our words."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._score = 0.0

    def begin(self, game: Game) -> Observation:
        self._score = 0.0
        shown = self._engine.begin(game.seed, game.fold)
        text = OPENING.format(text=shown["observation"].strip(), goal=game.goal)
        return ongoing(text, _actions(shown))

    def act(self, action: str) -> Observation:
        shown = self._engine.act(action)
        text = shown["observation"].strip()
        gained, self._score = shown["score"] - self._score, shown["score"]
        if shown["tasksuccess"] or shown["score"] >= 1:
            return solved(text, reward=gained)
        return (
            failed(text) if shown["taskfailure"] else ongoing(text, _actions(shown), reward=gained)
        )


class SizeError(UserError, ValueError):
    """A game cannot be played in the size that was asked for."""


class Express(Catalogue):
    """The games, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS

    def __init__(
        self,
        *,
        kinds: Sequence[str] = KINDS,
        sizes: Mapping[str, str] | None = None,
        train: int = 20,
        dev: int = 5,
        test: int = 5,
    ) -> None:
        """Start Java and list the games.

        Args:
            kinds: which games.
            sizes: by game, the package's own parameters (`numLocations=3,...`).
            train: games of each kind to practise on; dev and test likewise.
            dev: see train.
            test: see train.
        """
        require(NAME)
        super().__init__(what="game", forms=("KIND/FOLD/SEED",))
        refuse_unknown(f"game of {NAME}", [*kinds, *(sizes or {})], SIZES)
        self._sizes = {**SIZES, **(sizes or {})}
        self._jar = Path(str(distribution(EXTRAS[NAME][0]).locate_file(JAR)))
        self._machines = [Jvm(NAME, self._jar)]
        self._pools: dict[str, Pool[Game]] = {
            kind: Pool(lambda kind=kind: Player(self._engine(kind)), waits=False) for kind in kinds
        }
        self._lock = threading.Lock()
        self._games: dict[str, Game] = {}
        counts = {Split.TRAIN: train, Split.DEV: dev, Split.TEST: test}
        for kind in dict.fromkeys(kinds):
            self._list(kind, counts)

    @property
    def machines(self) -> tuple[Jvm, ...]:
        """Return the Java machines that the games run in: one, unless some play alone."""
        return tuple(self._machines)

    def start(self, task: Task) -> LentPlay[Game]:
        return LentPlay(self._pools[task.kind], self._games[task.id])

    def gold(self, task: Task) -> tuple[str, ...]:
        return self._games[task.id].gold

    def _engine(self, kind: str) -> Engine:
        with self._lock:
            if kind in ALONE:
                self._machines.append(Jvm(NAME, self._jar))
            machine = self._machines[-1 if kind in ALONE else 0]
        return Engine.loaded(machine, kind, self._sizes[kind])

    def _list(self, kind: str, counts: Mapping[Split, int]) -> None:
        """List games of one kind, leaving out those that open as one before.

        Small games repeat: of the first 60 of each fold, 9 openings of cookingworld and 19 of coin
        are in both train and dev.
        """
        engine = self._engine(kind)
        seen: set[str] = set()
        for split, count in counts.items():
            for task, game in islice(_distinct(engine, kind, split, seen), count):
                self._games[task.id] = game
                self._add(task)
        self._pools[kind].give_back(Player(engine))


def _distinct(
    engine: Engine, kind: str, split: Split, seen: set[str]
) -> Iterator[tuple[Task, Game]]:
    """Give the games of a split whose opening was not seen before."""
    fold, seeds = FOLDS[split]
    for seed in seeds:
        opening = engine.begin(seed, fold, gold=True)["observation"]
        if opening in seen:
            continue
        seen.add(opening)
        goal = engine.goal()
        gold = engine.gold()
        if kind in WANDERING:
            gold = _straight(engine, seed, fold, gold)
        id = f"{kind}/{fold}/{seed}"
        task = Task(id=id, environment=NAME, split=split, kind=kind, goal=goal)
        yield task, Game(kind, fold, seed, goal, gold)


def _straight(engine: Engine, seed: int, fold: str, walk: Sequence[str]) -> tuple[str, ...]:
    """Return a walk without its loops: what lies between two sights of the same room."""
    path: list[str] = []
    sights = [engine.begin(seed, fold)["observation"]]
    for action in walk:
        sight = engine.act(action)["observation"]
        if sight in sights:
            del path[sights.index(sight) :], sights[sights.index(sight) + 1 :]
        else:
            path.append(action)
            sights.append(sight)
    return tuple(path)


def _actions(shown: Shown) -> list[str]:
    return sorted(set(shown["validActions"]))
