"""ALFWorld's official engine (Shridhar et al. 2021, arXiv:2010.03768; MIT) behind our household.

Same name, same tasks, same words as `environments.household`, which is hundreds of times faster:
this one is there to be compared with. Its planner is under the GPL and its parser is not safe
between threads: each play has a process of its own.
"""

from dataclasses import dataclass

from environments.environment import Observation, ongoing, solved
from environments.episode import Task
from environments.extras import require
from environments.household.household import Games, Houses
from environments.household.problem import write_problem
from environments.worlds.child import Child
from environments.worlds.lent import LentPlay, Pool

EXTRA = "alfworld"
PLAYER = "environments.worlds.players.alfred"
PROBLEM = "game"  # what PDDL calls it; nobody sees it


@dataclass(frozen=True, slots=True)
class OfficialGame:
    problem: str  # PDDL
    goal: str
    gold: tuple[str, ...]


class Player:
    """A process that plays."""

    def __init__(self) -> None:
        self.child = Child(PLAYER)

    def begin(self, game: OfficialGame) -> Observation:
        asked = {"problem": game.problem, "goal": game.goal, "gold": game.gold}
        shown = self.child.ask({"begin": asked})
        return ongoing(shown["text"], shown["admissible"])

    def act(self, action: str) -> Observation:
        shown = self.child.ask({"act": action})
        if shown["won"]:
            return solved(shown["text"])
        return ongoing(shown["text"], shown["admissible"])


class OfficialHousehold(Houses):
    """Chores in a house, in the engine that the benchmark was made with."""

    waits = True  # for the engine to load a game, in 1 to 2 s

    def __init__(self, games: Games) -> None:
        require(EXTRA)
        super().__init__(games)
        self._pool: Pool[OfficialGame] = Pool(Player, waits=True)

    def task(self, id: str) -> Task:
        return self._games.task(id)

    def start(self, task: Task) -> LentPlay[OfficialGame]:
        game = self._games.game(task)
        return LentPlay(
            self._pool, OfficialGame(write_problem(game.problem, PROBLEM), task.goal, game.gold)
        )

    def gold(self, task: Task) -> tuple[str, ...]:
        return self._games.game(task).gold
