"""From a plan and a list of furniture to a problem and the actions that solve it.

The gold actions are walked through the house as it is built: no planner is needed to know that the
task can be done.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import Random

from environments.household.games import Game
from environments.household.plan import Plan
from environments.household.problem import Expression, Fact, Problem
from environments.household.tables import ABLE, FITS, LAMP, OPENABLE
from environments.household.words import display_names

AGENT = "agent1"
MIDDLE = "loc_bar_middle"  # where nothing stands

Lying = tuple[str, str]  # (thing, place)


def build(plan: Plan, furniture: Sequence[str], max_objects: int, rng: Random) -> Game:
    """Return the game of a plan in a room with this furniture."""
    kinds = list(furniture)
    rng.shuffle(kinds)  # so that the number of a place tells nothing
    places = {_identifier(kind, index): kind for index, kind in enumerate(kinds)}
    things = _things(plan, places, max_objects, rng)
    problem = Problem(_declared(places, things), _facts(places, things), _goal(plan))
    walk = _Walk(places, display_names([*places, *(thing for thing, _ in things)]))
    wanted = things[: plan.recipe.count]
    if plan.recipe.lamp:
        walk.bring_to_light(wanted[0], things[1])
    else:
        target = rng.choice([place for place, kind in places.items() if kind == plan.place])
        appliance = next((p for p, kind in places.items() if kind == plan.recipe.appliance), None)
        for each in wanted:
            walk.deliver(each, appliance, plan.recipe.verb, target)
    return Game(problem, tuple(walk.actions))


def _identifier(kind: str, index: int) -> str:
    # ALFWorld's sink is "sink_bar_..._bar_sinkbasin"; its name is made from both ends.
    stem = kind.removesuffix("basin")
    return f"{stem}_bar_{index:02d}" + (f"_bar_{kind}" if stem != kind else "")


def _things(
    plan: Plan, places: Mapping[str, str], max_objects: int, rng: Random
) -> tuple[Lying, ...]:
    """Return what lies where: first what the task is about, then clutter."""
    laid: list[Lying] = []

    def lay(thing: str, kinds: Iterable[str]) -> None:
        homes = [place for place, kind in places.items() if kind in kinds]
        if homes:
            laid.append((f"{thing}_bar_{len(laid):02d}", rng.choice(homes)))

    for source in plan.sources:
        lay(plan.thing, {source})
    if plan.recipe.lamp:
        lay(LAMP, {plan.place})
    clutter = rng.randint(plan.room.fewest_things, plan.room.most_things)
    for _ in range(min(clutter, max_objects) - len(laid)):
        thing = rng.choice(plan.room.things)
        # What is already where it should go would solve the task, or half of it.
        lay(thing, FITS[thing] - ({plan.place} if thing == plan.thing else set()))
    return tuple(laid)


def _kind(thing: str) -> str:
    return thing.partition("_bar_")[0]


def _declared(places: Mapping[str, str], things: Sequence[Lying]) -> tuple[tuple[str, str], ...]:
    kinds = sorted({_kind(thing) for thing, _ in things})
    return (
        (AGENT, "agent"),
        *((f"{kind}type", "otype") for kind in kinds),
        *((f"{kind}type", "rtype") for kind in sorted(set(places.values()))),
        *((thing, "object") for thing, _ in things),
        *((place, "receptacle") for place in places),
        *((_location(place), "location") for place in places),
        (MIDDLE, "location"),
    )


def _location(place: str) -> str:
    return f"loc_bar_{place}"


def _facts(places: Mapping[str, str], things: Sequence[Lying]) -> dict[str, tuple[Fact, ...]]:
    kinds = sorted({_kind(thing) for thing, _ in things})
    facts: dict[str, tuple[Fact, ...]] = {
        "atlocation": ((AGENT, MIDDLE),),
        "receptacletype": tuple((place, f"{kind}type") for place, kind in places.items()),
        "receptacleatlocation": tuple((place, _location(place)) for place in places),
        "openable": tuple((place,) for place, kind in places.items() if kind in OPENABLE),
        "cancontain": tuple(
            (f"{place}type", f"{kind}type")
            for place in sorted(set(places.values()))
            for kind in kinds
            if place in FITS[kind]
        ),
        "objecttype": tuple((thing, f"{_kind(thing)}type") for thing, _ in things),
        "inreceptacle": tuple(things),
        "objectatlocation": tuple((thing, _location(place)) for thing, place in things),
        "pickupable": tuple((thing,) for thing, _ in things if _kind(thing) != LAMP),
    }
    for ability, able in ABLE.items():
        facts[ability] = tuple((thing,) for thing, _ in things if _kind(thing) in able)
    return {predicate: found for predicate, found in facts.items() if found}


def _goal(plan: Plan) -> Expression:
    """Return the goal as ALFWorld writes it."""
    thing_type, place_type = f"{plan.thing}type", f"{plan.place}type"
    if plan.recipe.lamp:
        return ("and", _lit_goal(), _held_goal(thing_type))
    treated: tuple[Expression, ...] = ()
    if plan.recipe.ability:
        treated = ((plan.recipe.ability, "?o"), (plan.recipe.state, "?o"))

    def lies(thing: str, *more: Expression) -> Expression:
        return (
            "and",
            *treated,
            ("objecttype", thing, thing_type),
            ("receptacletype", "?r", place_type),
            ("inreceptacle", thing, "?r"),
            *more,
        )

    if plan.recipe.count == 1:
        found: Expression = ("exists", ("?o", "-", "object"), lies("?o"))
    else:
        different: Expression = ("not", ("=", "?o1", "?o2"))
        _, *second = lies("?o2")
        other: Expression = ("exists", ("?o2", "-", "object"), ("and", different, *second))
        found = ("exists", ("?o1", "-", "object"), lies("?o1", other))
    return ("and", ("exists", ("?r", "-", "receptacle"), ("and", found)))


def _lit_goal() -> Expression:
    variables = "?ot - object ?r - receptacle ?a - agent ?l - location"
    return (
        "exists",
        tuple(variables.split()),
        (
            "and",
            ("objecttype", "?ot", f"{LAMP}type"),
            ("toggleable", "?ot"),
            ("istoggled", "?ot"),
            ("receptacleatlocation", "?r", "?l"),
            ("atlocation", "?a", "?l"),
            ("inreceptacle", "?ot", "?r"),
        ),
    )


def _held_goal(thing_type: str) -> Expression:
    return (
        "exists",
        ("?o", "-", "object", "?a", "-", "agent"),
        ("and", ("objecttype", "?o", thing_type), ("holds", "?a", "?o")),
    )


class _Walk:
    """Someone who knows where everything is, writing down what they do."""

    def __init__(self, places: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.actions: list[str] = []
        self._places = places
        self._names = names
        self._at: str | None = None
        self._opened: set[str] = set()

    def deliver(self, lying: Lying, appliance: str | None, verb: str, target: str) -> None:
        thing, _ = lying
        self._fetch(lying)
        if appliance is not None:
            self._go(appliance)
            self.actions.append(f"{verb} {self._names[thing]} with {self._names[appliance]}")
        self._go(target)
        self._open(target)
        self.actions.append(f"move {self._names[thing]} to {self._names[target]}")

    def bring_to_light(self, lying: Lying, lamp: Lying) -> None:
        self._fetch(lying)
        self._go(lamp[1])
        self.actions.append(f"use {self._names[lamp[0]]}")

    def _fetch(self, lying: Lying) -> None:
        thing, place = lying
        self._go(place)
        self._open(place)
        self.actions.append(f"take {self._names[thing]} from {self._names[place]}")

    def _go(self, place: str) -> None:
        if self._at != place:
            self.actions.append(f"go to {self._names[place]}")
            self._at = place

    def _open(self, place: str) -> None:
        if self._places[place] in OPENABLE and place not in self._opened:
            self.actions.append(f"open {self._names[place]}")
            self._opened.add(place)
