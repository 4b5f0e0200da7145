"""MiniGrid and BabyAI (Chevalier-Boisvert et al. 2023, arXiv:2306.13831; MIT), told in words.

The pictures of what lies ahead become sentences, as in BabyAI-Text (Carta et al. 2023,
arXiv:2302.02662), so that a model which only reads can act. BabyAI's own bot knows the way.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Task
from environments.errors import refuse_unknown
from environments.extras import load
from environments.guarded import GuardedPlay
from environments.seeded import Opening, SeededCatalogue, seed_of
from environments.transcript import NOT_AN_ACTION

NAME = "minigrid"

INSTRUCTIONS = (
    "You walk through rooms and see what lies ahead of you. Answer with one action: turn left, "
    "turn right, go forward, pick up, drop or toggle. The last three act on what is 1 step "
    "forward; toggle opens doors, locked ones only while you carry the key of their color."
)

OPENING = "{view}\n\nYour task is to: {goal}"

KINDS = ("GoToRedBall", "GoToLocal", "PickupLoc", "OpenDoorLoc", "PutNextLocal", "UnlockLocal")
"""Played unless others are named: one room or a few, six kinds of words."""

ACTIONS = {
    "turn left": 0,
    "turn right": 1,
    "go forward": 2,
    "pick up": 3,
    "drop": 4,
    "toggle": 5,
}
"""MiniGrid's numbers; its seventh, done, does nothing in these levels."""

WORDS = {number: word for word, number in ACTIONS.items()}
ADMISSIBLE = tuple(sorted(ACTIONS))

FAMILY = "BabyAI-"
FAMILIES = (FAMILY, "MiniGrid-")

LONGEST_GOLD = 500
"""Actions of the bot before it is taken to be lost; in the kinds above it needs 25 at most."""

OBJECTS = (
    "unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava", "agent",
)  # fmt: skip
COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
STATES = ("open", "closed", "locked")
"""What the numbers in a picture mean."""

UNTOLD = frozenset({"unseen", "empty", "wall", "floor"})
"""Not told one by one; of the walls, the first ones ahead and to each side."""

ENDS_SIGHT = frozenset({"wall", "door", "unseen"})

HERE = (0, 0)

LOST = (AssertionError, IndexError, ValueError)
"""What the bot raises where it knows no further: it was written for levels that it can solve."""

Grid: TypeAlias = Any  # an environment of the package, which has no types
Place: TypeAlias = tuple[int, int]  # steps to the right and forward
Cell: TypeAlias = Sequence[int]  # object, color, state
Image: TypeAlias = Sequence[Sequence[Cell]]


class MiniGrid(SeededCatalogue):
    """Levels of BabyAI and MiniGrid, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS

    def __init__(
        self, *, kinds: Sequence[str] = KINDS, counts: tuple[int, int, int] = (40, 10, 10)
    ) -> None:
        """Look at the first seeds and list the tasks.

        Args:
            kinds: BabyAI's levels by their names (GoToLocal), others with theirs in full
                (MiniGrid-DoorKey-5x5); only BabyAI's have gold.
            counts: of each kind, tasks to practise on, to decide by and to report.
        """
        super().__init__()
        self._levels = _levels()
        self._golds: dict[str, tuple[str, ...] | None] = {}
        refuse_unknown(f"level of {NAME}", kinds, self._levels)
        for kind in dict.fromkeys(kinds):
            grid = self._made(kind)
            self._add_kind(kind, counts, lambda seed, grid=grid: _opening(grid, seed))
            grid.close()

    def start(self, task: Task) -> "GridPlay":
        return GridPlay(self._made(task.kind), task)

    def gold(self, task: Task) -> tuple[str, ...] | None:
        if task.id not in self._golds:
            grid = self._made(task.kind)
            self._golds[task.id] = _way(grid, seed_of(task))
            grid.close()
        return self._golds[task.id]

    def _made(self, kind: str) -> Grid:
        gymnasium = load(NAME, "gymnasium")
        return gymnasium.make(self._levels[kind], disable_env_checker=True).unwrapped


class GridPlay(GuardedPlay):
    """One level in play."""

    def __init__(self, grid: Grid, task: Task) -> None:
        self._grid = grid
        seen, _ = grid.reset(seed=seed_of(task))
        text = OPENING.format(view=view(seen["image"]), goal=task.goal)
        super().__init__(ongoing(text, ADMISSIBLE))

    def close(self) -> None:
        super().close()
        self._grid.close()

    def _after(self, action: str) -> Observation:
        number = ACTIONS.get(action.strip())
        if number is None:
            return ongoing(NOT_AN_ACTION, ADMISSIBLE)
        seen, reward, terminated, truncated, _ = self._grid.step(number)
        text = view(seen["image"])
        if terminated and reward > 0:
            return solved(text)  # for one point: MiniGrid takes off some for every step
        if terminated or truncated:
            return failed(text)
        return ongoing(text, ADMISSIBLE)


def view(image: Image) -> str:
    """Return in words what a picture shows; one stands in the middle of its last row.

    It comes column by column from the left, each from the far end to the near one.

    >>> floor, wall, ball, key = (1, 0, 0), (2, 5, 0), (6, 0, 0), (5, 4, 0)
    >>> view([[floor, ball, floor], [wall, floor, key], [floor] * 3])  # doctest: +ELLIPSIS
    'You see a red ball 1 step forward and 1 step left, a wall ... You carry a yellow key.'
    """
    here, near = len(image) // 2, len(image[0]) - 1
    sights = {
        (x - here, near - y): (OBJECTS[int(cell[0])], cell)
        for x, column in enumerate(image)
        for y, cell in enumerate(column)
    }
    told = [
        f"{_thing(*sights[place])} {_where(*place)}"
        for place in sorted(sights, key=lambda place: (abs(place[0]) + place[1], place))
        if place != HERE and sights[place][0] not in UNTOLD
    ]
    walls = (f"a wall {_where(*place)}" for place in _walls({p: s[0] for p, s in sights.items()}))
    carried = "nothing" if sights[HERE][0] in UNTOLD else _thing(*sights[HERE])
    return f"You see {', '.join([*told, *walls]) or 'nothing'}. You carry {carried}."


def _thing(name: str, cell: Cell) -> str:
    state = f"{STATES[int(cell[2])]} " if name == "door" else ""
    color = "" if name == "lava" else f"{COLORS[int(cell[1])]} "
    words = f"{state}{color}{name}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _where(right: int, forward: int) -> str:
    ways = ((forward, "forward"), (-right, "left"), (right, "right"))
    steps = (f"{count} step{'s' if count > 1 else ''} {way}" for count, way in ways if count > 0)
    return " and ".join(steps)


def _walls(names: Mapping[Place, str]) -> Iterator[Place]:
    """Give where the first wall is, ahead and to each side."""
    for right, forward in ((0, 1), (-1, 0), (1, 0)):
        for steps in range(1, len(names)):
            place = right * steps, forward * steps
            name = names.get(place, "unseen")
            if name == "wall":
                yield place
            if name in ENDS_SIGHT:
                break


def _opening(grid: Grid, seed: int) -> Opening:
    grid.reset(seed=seed)
    at = tuple(int(each) for each in grid.agent_pos)
    sight = (grid.grid.encode().tobytes(), at, int(grid.agent_dir), grid.mission)
    return Opening(sight, grid.mission)


def _way(grid: Grid, seed: int) -> tuple[str, ...] | None:
    """Return how BabyAI's bot solves a level; None where it does not, or knows no such level."""
    grid.reset(seed=seed)
    if not hasattr(grid, "instrs"):
        return None
    bot = load(NAME, "minigrid.utils.baby_ai_bot").BabyAIBot(grid)
    number, way = None, list[str]()
    while len(way) < LONGEST_GOLD:
        try:
            number = int(bot.replan(number))
        except LOST:
            return None
        if number not in WORDS:
            return None
        way.append(WORDS[number])
        _, reward, terminated, truncated, _ = grid.step(number)
        if terminated or truncated:
            return tuple(way) if reward > 0 else None
    return None


def _levels() -> Mapping[str, str]:
    """Return the ids of all levels by what they are called here."""
    registry = load(NAME, "gymnasium").registry
    load(NAME, "minigrid")
    # It tells standard output of every level that it draws anew; results are printed there.
    vars(load(NAME, "minigrid.envs.babyai.core.roomgrid_level"))["print"] = _quiet
    ids = sorted(id for id in registry if id.startswith(FAMILIES))
    return {id.removeprefix(FAMILY).rpartition("-v")[0]: id for id in ids}


def _quiet(*_: object) -> None:
    pass
