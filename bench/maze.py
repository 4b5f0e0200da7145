"""Mazes whose every way is known, and three critics of known quality: what an ablation needs.

The value is biased: always upward, by another amount at every moment. The process judge errs three
times in ten. The outcome judge is exact. What the first two have told is known from other mazes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from agent.search.calibration import Evidence
from agent.search.critics import Aspect, Critics, Weighed, WorldCritic
from agent.search.settings import SearchSettings
from agent.search.tree import Branch
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.seed import derive

DEPTH, WIDTH, GOALS = 5, 3, 2
APART = 0.4  # of the value of a moment from which a goal can be reached, and minus that else
BIAS = 1.2  # most that the value is too high
ERRS = 0.3  # of the process judge
OTHERS = range(1_000_000, 1_000_200)
"""Mazes that tell what the critics' scores mean, and are not examined."""

MAZE_SETTINGS = SearchSettings(budget=80, rollouts=0, exploration=0.25, again=True)
"""No rollouts: they would be most of so small a budget. Little exploration, for critics know. What
is known may be proposed again: without, 97 % are solved and critics have little left to add."""

Way = tuple[int, ...]
Known = Mapping[Aspect, Evidence]


@dataclass(frozen=True, slots=True)
class Maze:
    """So many turns, so many ways at each; a few ends are goals."""

    goals: frozenset[Way]
    name: str = "maze"
    instructions: str = "Find the way out."

    def tasks(self, split: Split) -> Sequence[Task]:
        return (self.task(f"maze/{split}"),)

    def task(self, id: str) -> Task:
        split = Split(id.rpartition("/")[2])
        return Task(id=id, environment=self.name, split=split, kind="way", goal="Get out.")

    def start(self, task: Task) -> "MazePlay":
        return MazePlay(self.goals)

    def gold(self, task: Task) -> tuple[str, ...]:
        return tuple(map(str, min(self.goals)))


class MazePlay:
    def __init__(self, goals: frozenset[Way], way: Way = ()) -> None:
        self._goals, self._way = goals, way
        self.observation = self._look()

    def step(self, action: str) -> Observation:
        if self.observation.ending is not None:
            raise RuntimeError("this play is over; start the task again")
        if action in self.observation.admissible:
            self._way = (*self._way, int(action))
            self.observation = self._look()
        return self.observation

    def fork(self) -> "MazePlay":
        return MazePlay(self._goals, self._way)

    def close(self) -> None:
        """Hold nothing."""

    def _look(self) -> Observation:
        text = f"You have gone {self._way}."
        if len(self._way) < DEPTH:
            return ongoing(text, [str(way) for way in range(WIDTH)])
        return solved(text) if self._way in self._goals else failed(text)


class Seer:
    """A critic that is a function of the way."""

    def __init__(self, name: str, judge: Callable[[Way], float]) -> None:
        self.name = name
        self._judge = judge

    async def score(self, branches: Sequence[Branch]) -> Sequence[float]:
        return [
            self._judge(tuple(int(step.completion.text) for step in branch.steps))
            for branch in branches
        ]


def maze(seed: int) -> Maze:
    rng = Random(derive("maze", seed))
    return Maze(frozenset(tuple(rng.choices(range(WIDTH), k=DEPTH)) for _ in range(GOALS)))


def critics_of(world: Maze, seed: int, known: Known = MappingProxyType({})) -> Critics:
    """Return the three critics of a maze; what they get wrong is drawn once for each moment.

    Args:
        world: the maze.
        seed: of what they get wrong.
        known: what their scores have told; a critic that is absent is taken at its word.
    """
    good = {goal[:length] for goal in world.goals for length in range(DEPTH + 1)}

    def luck(aspect: Aspect, way: Way) -> float:
        return Random(derive(aspect, seed, str(way))).random()

    def value(way: Way) -> float:
        return (APART if way in good else -APART) + BIAS * luck(Aspect.VALUE, way)

    def process(way: Way) -> float:
        errs = luck(Aspect.PROCESS, way) < ERRS
        return 1.0 if (way in good) != errs else -1.0

    return {
        Aspect.VALUE: Weighed(Seer("biased", value), evidence=known.get(Aspect.VALUE)),
        Aspect.PROCESS: Weighed(Seer("noisy", process), evidence=known.get(Aspect.PROCESS)),
        Aspect.OUTCOME: Weighed(WorldCritic()),
    }
