"""TextWorld (Côté et al. 2018, arXiv:1806.11532; MIT): text games made on the spot from a seed.

The library derives texts with a parser that is not safe between threads, and parts of what it
builds on are under the GPL: each play has a process of its own.
"""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import refuse_unknown
from environments.extras import require
from environments.seeded import FIRST_SEEDS
from environments.worlds.child import Child
from environments.worlds.lent import LentPlay, Pool

NAME = "textworld"
PLAYER = "environments.worlds.players.inform"

INSTRUCTIONS = (
    "You play a text game. Answer with one of the actions that can be taken now, word for word."
)

OPENING = "{text}\n\nYour task is to: {goal}"

FOLDS = {Split.TRAIN: "train", Split.DEV: "valid", Split.TEST: "test"}
"""What TextWorld calls the splits, where a challenge has any."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One of TextWorld's makers of games."""

    goal: str  # ours: a game's own words are known only once it is made, in seconds
    settings: Mapping[str, object]
    names_fold: bool = False  # it takes other words in each split
    names_recipe: bool = False  # a second seed: what is to be cooked


CHALLENGES: Mapping[str, Challenge] = {
    "cooking": Challenge(
        "cook the meal of the cookbook and eat it.",
        {"recipe": 1, "take": 1, "go": 1, "open": True, "cook": True, "cut": True, "drop": False},
        names_fold=True,
        names_recipe=True,
    ),
    "simple": Challenge(
        "find the food that is missing and put it where it is missing.",
        {"rewards": "sparse", "goal": "brief", "test": False},
    ),
    "coin_collector": Challenge("find the coin and take it.", {"level": 5}),
    "treasure_hunter": Challenge("find what is asked for and take it.", {"level": 5}),
}


@dataclass(frozen=True, slots=True)
class Game:
    name: str
    kind: str
    seed: int
    settings: Mapping[str, object]


class Player:
    """A process that plays."""

    def __init__(self, folder: Path, gold: dict[str, tuple[str, ...]]) -> None:
        """Start it.

        Args:
            folder: where games are kept once they are made.
            gold: solutions by the names of games; that of each game begun is added.
        """
        self.child = Child(PLAYER, str(folder))
        self._gold = gold
        self._score = 0.0

    def begin(self, game: Game) -> Observation:
        self._score = 0.0
        asked = {
            "name": game.name,
            "challenge": f"tw-{game.kind}",
            "seed": game.seed,
            "settings": game.settings,
        }
        shown = self.child.ask({"begin": asked})
        self._gold[game.name] = tuple(shown["gold"])
        goal = CHALLENGES[game.kind].goal
        return ongoing(OPENING.format(text=shown["text"], goal=goal), shown["admissible"])

    def act(self, action: str) -> Observation:
        shown = self.child.ask({"act": action})
        gained, self._score = shown["score"] - self._score, shown["score"]
        if shown["won"]:
            return solved(shown["text"], reward=gained)
        if shown["lost"]:
            return failed(shown["text"], reward=gained)
        return ongoing(shown["text"], shown["admissible"], reward=gained)


class TextWorld(Catalogue):
    """Games of four kinds, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS
    waits = True  # for the game to be made

    def __init__(
        self,
        *,
        kinds: Sequence[str] = tuple(CHALLENGES),
        settings: Mapping[str, Mapping[str, object]] | None = None,
        train: int = 40,
        dev: int = 10,
        test: int = 10,
    ) -> None:
        """List games; each is made when it is first played.

        Args:
            kinds: which of TextWorld's challenges.
            settings: by kind, some of the challenge's own (`{"coin_collector": {"level": 10}}`).
            train: games of each kind to practise on; dev and test likewise.
            dev: see train.
            test: see train.
        """
        require(NAME)
        super().__init__(what="game", forms=("KIND/SEED",))
        refuse_unknown(f"game of {NAME}", [*kinds, *(settings or {})], CHALLENGES)
        self._folder = Path(tempfile.mkdtemp(prefix="textworld-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._gold: dict[str, tuple[str, ...]] = {}
        self._pool: Pool[Game] = Pool(partial(Player, self._folder, self._gold), waits=True)
        self._games: dict[str, Game] = {}
        for kind in dict.fromkeys(kinds):
            for split, count in ((Split.TRAIN, train), (Split.DEV, dev), (Split.TEST, test)):
                for number in range(count):
                    self._list(kind, split, number, (settings or {}).get(kind, {}))

    def start(self, task: Task) -> LentPlay[Game]:
        return LentPlay(self._pool, self._games[task.id])

    def gold(self, task: Task) -> tuple[str, ...]:
        name = self._games[task.id].name
        if name not in self._gold:
            self.start(task).close()
        return self._gold[name]

    def _list(self, kind: str, split: Split, number: int, given: Mapping[str, object]) -> None:
        challenge = CHALLENGES[kind]
        seed = FIRST_SEEDS[split] + number
        settings = {**challenge.settings, **given}
        if challenge.names_fold:
            settings["split"] = FOLDS[split]
        if challenge.names_recipe:
            settings["recipe_seed"] = seed
        id = f"{kind}/{seed}"
        self._add(Task(id=id, environment=NAME, split=split, kind=kind, goal=challenge.goal))
        self._games[id] = Game(id.replace("/", "-"), kind, seed, settings)
