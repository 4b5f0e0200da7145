"""A house of seven receptacles in which every rule has a case, as ALFWorld would state it."""

from environments.household.engine import House
from environments.household.problem import parse_problem
from environments.household.state import State

PLACES = {
    "Cabinet_bar_1": "left",
    "Cabinet_bar_2": "left",  # two cabinets in reach of one spot
    "CounterTop_bar_1": "counter",
    "Fridge_bar_1": "fridge",
    "Microwave_bar_1": "counter2",
    "Sink_bar_1_bar_SinkBasin": "sink",
    "Desk_bar_1": "desk",
}
THINGS = {  # where each lies
    "Apple_bar_1": ["CounterTop_bar_1"],
    "Apple_bar_2": ["Fridge_bar_1"],
    "Egg_bar_1": ["CounterTop_bar_1", "Cabinet_bar_1"],  # in two at once: ALFWorld has such
    "Knife_bar_1": ["CounterTop_bar_1"],
    "Mug_bar_1": ["Cabinet_bar_2"],
    "Spoon_bar_1": ["CounterTop_bar_1"],
    "DeskLamp_bar_1": ["Desk_bar_1"],
    "Chair_bar_1": [],
}
FACTS = """
(atLocation agent1 middle)
(openable Cabinet_bar_1) (openable Cabinet_bar_2) (openable Fridge_bar_1)
(openable Microwave_bar_1)
(pickupable Apple_bar_1) (pickupable Apple_bar_2) (pickupable Egg_bar_1) (pickupable Knife_bar_1)
(pickupable Mug_bar_1) (pickupable Spoon_bar_1) (toggleable DeskLamp_bar_1)
(cleanable Apple_bar_1) (heatable Apple_bar_1) (coolable Apple_bar_1)
(cleanable Knife_bar_1) (sliceable Apple_bar_1) (sliceable Apple_bar_2)
(isReceptacleObject Mug_bar_1) (inReceptacleObject Spoon_bar_1 Mug_bar_1)
(canContain CounterTopType AppleType) (canContain CounterTopType KnifeType)
(canContain CounterTopType EggType) (canContain FridgeType AppleType)
(canContain DeskType MugType) (canContain DeskType AppleType) (canContain CabinetType EggType)
"""
APPLE_ON_DESK = """(and (exists (?r - receptacle) (exists (?o - object) (and
    (inReceptacle ?o ?r) (objectType ?o AppleType) (receptacleType ?r DeskType)))))"""


def _class(name: str) -> str:
    return "SinkBasin" if "SinkBasin" in name else name.partition("_bar_")[0]


def small_problem(goal: str = APPLE_ON_DESK, more: str = "") -> str:
    places = " ".join(
        f"(receptacleType {name} {_class(name)}Type) (receptacleAtLocation {name} {at})"
        for name, at in PLACES.items()
    )
    things = " ".join(
        f"(objectType {name} {_class(name)}Type) "
        + " ".join(
            f"(inReceptacle {name} {place}) (objectAtLocation {name} {PLACES[place]})"
            for place in lying
        )
        for name, lying in THINGS.items()
    )
    declared = " ".join(
        [
            "agent1 - agent",
            *(f"{each}Type - rtype" for each in sorted({_class(name) for name in PLACES})),
            *(f"{each}Type - otype" for each in sorted({_class(name) for name in THINGS})),
            *(f"{name} - receptacle" for name in PLACES),
            *(f"{name} - object" for name in THINGS),
            *(f"{name} - location" for name in ("middle", *sorted(set(PLACES.values())))),
        ]
    )
    return (
        f"(define (problem small) (:domain alfred) (:objects {declared})\n"
        f"(:init {places} {things} {FACTS} {more}) (:goal {goal}))"
    )


def small_house(goal: str = APPLE_ON_DESK, more: str = "") -> House:
    return House(parse_problem(small_problem(goal, more)))


def walk(house: House, *actions: str, state: State | None = None) -> tuple[State, str]:
    """Take admissible actions one after the other; return the last state and text."""
    state, text = state or house.start, ""
    for action in actions:
        state, text = house.apply(state, house.moves(state)[action])
    return state, text
