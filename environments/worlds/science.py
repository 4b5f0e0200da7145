"""ScienceWorld (Wang et al. 2022, arXiv:2203.07540; Apache-2.0): 30 kinds of school experiments.

The game runs in Java, talked to directly: the package's own class would start a Java machine for
every play. Any text is an action here: the game lists 115 to 1,263 "valid" actions in 30 to 170
ms, and up to half of the actions that its own solutions take are not among them.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from itertools import islice
from pathlib import Path
from typing import Any

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UserError, refuse_unknown
from environments.extras import EXTRAS, require
from environments.worlds.jvm import Jvm
from environments.worlds.lent import LentPlay, Pool

NAME = "scienceworld"

INSTRUCTIONS = (
    "You do an experiment in a house with ten rooms. Answer with one action: look around, "
    "look at X, look in X, go to ROOM, open X, close X, pick up X, drop X, move X to Y, "
    "pour X in Y, mix X, use X on Y, read X, activate X, deactivate X, connect X to Y, "
    "disconnect X, focus on X, inventory, task, wait, wait1. To focus on the wrong thing loses. "
    "Where a request is ambiguous, answer with a number."
)

OPENING = "{view}\n\nYour task is to: {goal}"
GIVEN = re.compile(r"Your task is to\s+")  # how the game begins to state a goal

KINDS = (
    "find-animal",
    "find-living-thing",
    "find-non-living-thing",
    "find-plant",
    "identify-life-stages-2",
    "lifespan-longest-lived",
    "lifespan-longest-lived-then-shortest-lived",
    "lifespan-shortest-lived",
    "power-component",
    "use-thermometer",
)
"""Played unless others are named: solved in at most 30 actions. Others take up to 178, and finding
their solution up to 86 s."""

LABEL = re.compile(r"^\W*(?:action\W*:)?\s*", re.IGNORECASE)

JAR = "scienceworld/scienceworld.jar"

OPTIONS = ("-Xmx512m", "-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2")
"""Half a gigabyte is enough for dozens of games. The game goes through sets of objects in the
order of their identity hash codes, which Java draws at random: equal ones stay as inserted."""


class SimplificationError(UserError, ValueError):
    """The game knows no such simplification."""


@dataclass(frozen=True, slots=True)
class Experiment:
    kind: str
    variation: int
    goal: str


class Laboratory:
    """The Java side: one machine, in which games share what is not safe between threads."""

    def __init__(self, simplifications: str) -> None:
        self.machine = Jvm(NAME, _jar(), OPTIONS)
        self.lock = threading.Lock()
        self._simplifications = simplifications

    def new(self) -> Any:  # noqa: ANN401 - its class is in Java
        """Return an object that plays games."""
        return self.machine.classes.scienceworld.runtime.pythonapi.PythonInterface()

    def load(self, game: Any, kind: str, variation: int, *, gold: bool = False) -> str:  # noqa: ANN401
        """Begin a game, and return its first view; the lock must be held."""
        game.load(kind, variation, self._simplifications, gold)
        return str(game.step("look around")).strip()

    def lines(self, several: Any) -> tuple[str, ...]:  # noqa: ANN401 - a list in Java
        """Return a Java list of texts in one call, not in one for each."""
        return tuple(self.machine.classes.java.lang.String.join("\n", several).split("\n"))


class Engine:
    """One game in the machine; plays one experiment at a time, and then another."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._game = laboratory.new()
        self._score = 0.0

    def begin(self, game: Experiment) -> Observation:
        with self._laboratory.lock:
            view = self._laboratory.load(self._game, game.kind, game.variation)
            self._score = float(self._game.getScore())
        return ongoing(OPENING.format(view=view, goal=game.goal))

    def act(self, action: str) -> Observation:
        with self._laboratory.lock:
            text = str(self._game.step(spoken(action))).strip()
            score, over = float(self._game.getScore()), bool(self._game.getCompleted())
        gained, self._score = score - self._score, score
        if score >= 1:
            return solved(text, reward=gained)
        return failed(text) if over or score < 0 else ongoing(text, reward=gained)


class ScienceWorld(Catalogue):
    """The experiments, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS
    waits = True  # for Java

    def __init__(
        self,
        *,
        kinds: Sequence[str] = KINDS,
        train: int = 4,
        dev: int = 2,
        test: int = 2,
        simplifications: str = "easy",
    ) -> None:
        """Start Java and list the experiments.

        Args:
            kinds: which of the 30.
            train: variations of each kind to practise on, from the game's own fold; 0.2 s each.
            dev: see train.
            test: see train.
            simplifications: the game's own, separated by commas; "easy" is all of them.
        """
        require(NAME)
        super().__init__(what="experiment", forms=("KIND/VARIATION",))
        self._laboratory = Laboratory(simplifications)
        self._pool = Pool(partial(Engine, self._laboratory), waits=True)
        self._gold: dict[str, tuple[str, ...]] = {}
        self._experiments: dict[str, Experiment] = {}
        game = self._laboratory.new()
        _check(game, kinds, simplifications)
        counts = {Split.TRAIN: train, Split.DEV: dev, Split.TEST: test}
        with self._laboratory.lock:
            for kind in dict.fromkeys(kinds):
                for task, experiment in _listed(self._laboratory, game, kind, counts):
                    self._add(task)
                    self._experiments[task.id] = experiment

    @property
    def machine(self) -> Jvm:
        return self._laboratory.machine

    def start(self, task: Task) -> LentPlay[Experiment]:
        return LentPlay(self._pool, self._experiments[task.id])

    def gold(self, task: Task) -> tuple[str, ...]:
        """Return the game's own solution, which it finds by playing: seconds, the first time."""
        if task.id not in self._gold:
            experiment = self._experiments[task.id]
            with self._laboratory.lock:
                game = self._laboratory.new()
                self._laboratory.load(game, experiment.kind, experiment.variation, gold=True)
                whole = self._laboratory.lines(game.getGoldActionSequence())
            self._gold[task.id] = self._needed(experiment, whole)
        return self._gold[task.id]

    def _needed(self, experiment: Experiment, actions: Sequence[str]) -> tuple[str, ...]:
        """Return the actions up to the one that solves it; solutions go on after that."""
        engine = Engine(self._laboratory)
        engine.begin(experiment)
        for count, action in enumerate(actions, 1):
            if engine.act(action).ending is not None:
                return tuple(actions[:count])
        return tuple(actions)


def spoken(text: str) -> str:
    r"""Return the action in what a policy wrote: its last line, without a label.

    >>> spoken("The kitchen is best.\nAction: go to kitchen")
    'go to kitchen'
    """
    return LABEL.sub("", text.strip().rpartition("\n")[2]).strip()


def _jar() -> Path:
    return Path(str(distribution(EXTRAS[NAME][0]).locate_file(JAR)))


def _check(game: Any, kinds: Sequence[str], simplifications: str) -> None:  # noqa: ANN401
    refuse_unknown(f"experiment of {NAME}", kinds, tuple(game.getTaskNames()))
    offered = ("easy", *str(game.getPossibleSimplifications()).split(", "))
    for each in filter(None, simplifications.split(",")):
        if each not in offered:
            raise SimplificationError(
                f"simplifications are {simplifications!r}; wanted some of {','.join(offered)}"
            )


def _listed(
    laboratory: Laboratory,
    game: Any,  # noqa: ANN401 - see above
    kind: str,
    counts: Mapping[Split, int],
) -> Iterator[tuple[Task, Experiment]]:
    """Give the experiments of a kind, leaving out those that open as one before."""
    laboratory.load(game, kind, 0)
    folds = {
        Split.TRAIN: tuple(game.getVariationsTrain()),
        Split.DEV: tuple(game.getVariationsDev()),
        Split.TEST: tuple(game.getVariationsTest()),
    }
    seen: set[tuple[str, str]] = set()
    for split, count in counts.items():
        fresh = _distinct(laboratory, game, kind, folds[split], seen)
        for experiment in islice(fresh, count):
            id = f"{kind}/{experiment.variation}"
            goal = experiment.goal
            yield Task(id=id, environment=NAME, split=split, kind=kind, goal=goal), experiment


def _distinct(
    laboratory: Laboratory,
    game: Any,  # noqa: ANN401 - see above
    kind: str,
    variations: Sequence[int],
    seen: set[tuple[str, str]],
) -> Iterator[Experiment]:
    for variation in variations:
        view = laboratory.load(game, kind, variation)
        goal = " ".join(GIVEN.sub("", str(game.getTaskDescription()), count=1).split())
        if (view, goal) not in seen:
            seen.add((view, goal))
            yield Experiment(kind, variation, goal)
