"""Houses made from a seed: all six task types, solvable by construction, no data needed.

Rooms are dealt to the splits by what stands in them, so no room is ever in two splits, however many
are drawn.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from zlib import crc32

from environments.episode import Split, Task
from environments.errors import UnknownNameError, UserError
from environments.household.games import KINDS, NAME, Game
from environments.household.house_builder import build
from environments.household.plan import RECIPES, Plan, Recipe
from environments.household.tables import ABLE, FITS, LAMP, ROOMS, Room

DEAL = (Split.TRAIN, Split.TRAIN, Split.DEV, Split.TEST)
"""Whose room it is, by the checksum of its furniture: half to train, a quarter to each other."""

FEWEST_RECEPTACLES = 4  # three that a task may need, and one to look in for nothing
MOST_RECEPTACLES = 40  # of ALFWorld's rooms nine in ten have fewer
MOST_OBJECTS = 50
ATTEMPTS = 1000  # rooms drawn until one is of the split; four are enough on average


class SettingsError(UserError, ValueError):
    """A house that cannot be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """All that a generated game is made from; its text is the task's id."""

    split: Split
    kind: str
    max_receptacles: int = MOST_RECEPTACLES
    max_objects: int = MOST_OBJECTS
    number: int

    @property
    def id(self) -> str:
        sizes = f"{self.max_receptacles}x{self.max_objects}"
        return f"generated/{self.split}/{self.kind}/{sizes}/{self.number}"


ID = re.compile(r"generated/(train|dev|test)/(\w+)/([1-9]\d{0,2})x([1-9]\d{0,2})/(0|[1-9]\d{0,8})")


def seed_of(id: str) -> Seed:
    """Return the seed that a generated task's id spells.

    Raises:
        UnknownNameError: it spells none.
    """
    found = ID.fullmatch(id)
    if found is None or found[2] not in KINDS or int(found[3]) < FEWEST_RECEPTACLES:
        raise UnknownNameError(
            "generated game", id, ("generated/SPLIT/KIND/RECEPTACLESxOBJECTS/N",)
        )
    split, kind, receptacles, objects, number = found.groups()
    return Seed(
        split=Split(split),
        kind=kind,
        max_receptacles=int(receptacles),
        max_objects=int(objects),
        number=int(number),
    )


class GeneratedGames:
    """Endless games; a catalogue lists the first so many of each split."""

    def __init__(
        self,
        counts: Mapping[Split, int],
        *,
        kinds: Sequence[str] = KINDS,
        max_receptacles: int = MOST_RECEPTACLES,
        max_objects: int = MOST_OBJECTS,
    ) -> None:
        if max_receptacles < FEWEST_RECEPTACLES or max_objects < 1:
            raise SettingsError(
                f"a house of {max_receptacles} receptacles and {max_objects} objects is too small;"
                f" set at least {FEWEST_RECEPTACLES} and 1"
            )
        self._counts = dict(counts)
        self._kinds = tuple(kinds)
        self._sizes = {"max_receptacles": max_receptacles, "max_objects": max_objects}
        self._listed: dict[Split, tuple[Task, ...]] = {}

    def tasks(self, split: Split) -> tuple[Task, ...]:
        if split not in self._listed:
            seeds = (self._seed(split, number) for number in range(self._counts[split]))
            self._listed[split] = tuple(task_of(seed) for seed in seeds)
        return self._listed[split]

    def task(self, id: str) -> Task:
        return task_of(seed_of(id))

    def game(self, task: Task) -> Game:
        return game_of(seed_of(task.id))

    def _seed(self, split: Split, number: int) -> Seed:
        kind = self._kinds[number % len(self._kinds)]
        return Seed(split=split, kind=kind, number=number, **self._sizes)


def task_of(seed: Seed) -> Task:
    """Return the task of a seed; its house is not built yet."""
    goal = _draw(seed).plan.sentence
    return Task(id=seed.id, environment=NAME, split=seed.split, kind=seed.kind, goal=goal)


def game_of(seed: Seed) -> Game:
    """Return the game of a seed: always the same, never solved at the start, won by its gold."""
    drawn = _draw(seed)
    return build(drawn.plan, drawn.furniture, seed.max_objects, drawn.rng)


@dataclass(frozen=True, slots=True)
class _Drawn:
    plan: Plan
    furniture: list[str]
    rng: Random  # where the drawing stopped


def _draw(seed: Seed) -> _Drawn:
    rng = Random(seed.id)
    for _ in range(ATTEMPTS):
        plan = _plan(seed.kind, rng)
        furniture = _furnish(plan, seed.max_receptacles, rng)
        if split_of(furniture) is seed.split:
            return _Drawn(plan, furniture, rng)
    raise SettingsError(f"no room for {seed.id} in {ATTEMPTS} tries; allow more receptacles")


def split_of(furniture: Sequence[str]) -> Split:
    """Return whose room this is; the order in which its furniture is named does not matter."""
    return DEAL[crc32(" ".join(sorted(furniture)).encode()) % len(DEAL)]


def _plan(kind: str, rng: Random) -> Plan:
    recipe = RECIPES[kind]
    room, things = rng.choice(CHOICES[kind])
    thing = rng.choice(things)
    homes = _homes(room, thing)
    if recipe.lamp:
        place, noun, others = rng.choice(_homes(room, LAMP)), LAMP, homes
    else:
        place = noun = rng.choice([home for home in homes if home != recipe.appliance])
        others = [home for home in homes if home != place]
    return Plan(
        recipe=recipe,
        room=room,
        thing=thing,
        place=place,
        sources=tuple(rng.choice(others) for _ in range(recipe.count)),
        sentence=rng.choice(recipe.sentences).format(thing=thing, place=noun),
    )


def _furnish(plan: Plan, most: int, rng: Random) -> list[str]:
    """Return the classes of the receptacles: what the task needs, then what the room has."""
    counts = {each.name: rng.randint(each.fewest, each.most) for each in plan.room.furniture}
    needed = plan.needed
    rest = Counter(counts) - Counter(needed)
    others = sorted(rest.elements())
    rng.shuffle(others)
    return [*needed, *others][:most]


def _homes(room: Room, thing: str) -> list[str]:
    return [each.name for each in room.furniture if each.name in FITS[thing]]


def _choices(recipe: Recipe) -> tuple[tuple[Room, tuple[str, ...]], ...]:
    """Return the rooms in which a task can be set, each with the things it can be about."""
    found = (
        (room, tuple(thing for thing in room.things if _possible(recipe, room, thing)))
        for room in ROOMS.values()
    )
    return tuple((room, things) for room, things in found if things)


def _possible(recipe: Recipe, room: Room, thing: str) -> bool:
    if thing == LAMP:
        return False
    homes = _homes(room, thing)
    if recipe.lamp:
        return LAMP in room.things and bool(homes)
    if recipe.ability and thing not in ABLE[recipe.ability]:
        return False
    stands = not recipe.appliance or recipe.appliance in {each.name for each in room.furniture}
    return stands and len(homes) > 1 and homes != [recipe.appliance]


CHOICES = {kind: _choices(recipe) for kind, recipe in RECIPES.items()}
