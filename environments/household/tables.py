"""What stands in which room, what lies where, and what can be done to it.

Everyday facts in ALFWorld's vocabulary, so that a policy practiced on generated houses meets the
same words in real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Furniture:
    """A class of receptacle in a room, and how many a room of that sort has."""

    name: str
    fewest: int
    most: int


@dataclass(frozen=True, slots=True)
class Room:
    furniture: tuple[Furniture, ...]
    things: tuple[str, ...]
    fewest_things: int
    most_things: int


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _furniture(text: str) -> tuple[Furniture, ...]:
    """Read `cabinet 4-20`, one a line."""
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(Furniture(name, *map(int, span.split("-"))) for name, span in rows)


ROOMS: Mapping[str, Room] = {
    "kitchen": Room(
        _furniture("""
            cabinet 4-20
            coffeemachine 1-1
            countertop 1-4
            diningtable 0-2
            drawer 1-10
            fridge 1-1
            garbagecan 1-1
            microwave 1-1
            shelf 0-3
            sidetable 0-1
            sinkbasin 1-1
            stoveburner 4-4
            toaster 1-1
        """),
        _words(
            "apple bowl bread butterknife cup dishsponge egg fork glassbottle kettle knife ladle"
            " lettuce mug pan peppershaker plate pot potato saltshaker soapbottle spatula spoon"
            " tomato vase winebottle"
        ),
        26,
        46,
    ),
    "livingroom": Room(
        _furniture("""
            armchair 1-2
            cabinet 0-2
            coffeetable 1-2
            desk 0-1
            diningtable 0-1
            drawer 0-5
            dresser 0-1
            garbagecan 1-1
            ottoman 0-1
            safe 0-1
            shelf 0-4
            sidetable 1-2
            sofa 1-2
            tvstand 0-1
        """),
        _words(
            "book box candle cellphone creditcard desklamp keychain laptop newspaper pen pencil"
            " pillow plate remotecontrol statue tissuebox vase watch wateringcan"
        ),
        12,
        26,
    ),
    "bedroom": Room(
        _furniture("""
            armchair 0-1
            bed 1-2
            cabinet 0-2
            desk 1-2
            drawer 2-7
            dresser 0-1
            garbagecan 1-1
            safe 0-1
            shelf 0-4
            sidetable 1-2
        """),
        _words(
            "alarmclock baseballbat basketball book bowl box cd cellphone creditcard desklamp"
            " keychain laptop mug pen pencil pillow remotecontrol statue tennisracket tissuebox"
            " vase watch"
        ),
        14,
        28,
    ),
    "bathroom": Room(
        _furniture("""
            bathtubbasin 0-1
            cabinet 0-5
            cart 0-1
            countertop 1-2
            drawer 0-4
            garbagecan 1-1
            handtowelholder 1-2
            shelf 0-2
            sidetable 0-1
            sinkbasin 1-2
            toilet 1-1
            toiletpaperhanger 1-1
            towelholder 1-2
        """),
        _words(
            "candle cloth dishsponge handtowel plunger soapbar soapbottle spraybottle tissuebox"
            " toiletpaper towel"
        ),
        10,
        20,
    ),
}

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe"})

LAMP = "desklamp"

_TABLES = "countertop diningtable sidetable"
_SEATS = "armchair ottoman sofa"
_FURNITURE = "coffeetable desk diningtable dresser shelf sidetable"

FITS: Mapping[str, frozenset[str]] = {
    name: frozenset(places.split())
    for name, places in {
        "alarmclock": "desk dresser shelf sidetable",
        "apple": f"{_TABLES} fridge garbagecan microwave sinkbasin",
        "baseballbat": "bed sidetable",
        "basketball": "bed desk dresser sidetable",
        "book": f"{_FURNITURE} {_SEATS} bed cabinet drawer",
        "bowl": f"{_TABLES} cabinet coffeetable desk dresser fridge microwave shelf sinkbasin",
        "box": f"{_FURNITURE} {_SEATS} cabinet",
        "bread": f"{_TABLES} fridge garbagecan microwave",
        "butterknife": f"{_TABLES} drawer sinkbasin",
        "candle": "cabinet cart coffeetable countertop drawer dresser shelf sidetable toilet",
        "cd": "cabinet desk drawer dresser garbagecan safe shelf sidetable",
        "cellphone": f"{_FURNITURE} {_SEATS} bed drawer safe",
        "cloth": "bathtubbasin cabinet cart countertop drawer garbagecan shelf sidetable sinkbasin"
        " toilet",
        "creditcard": f"{_FURNITURE} {_SEATS} drawer safe",
        "cup": f"{_TABLES} cabinet fridge microwave shelf sinkbasin",
        "desklamp": "coffeetable desk dresser shelf sidetable",
        "dishsponge": f"{_TABLES} bathtubbasin cabinet cart drawer garbagecan shelf sinkbasin"
        " toilet",
        "egg": f"{_TABLES} fridge garbagecan microwave sinkbasin",
        "fork": f"{_TABLES} drawer sinkbasin",
        "glassbottle": "cabinet countertop diningtable fridge shelf sinkbasin",
        "handtowel": "bathtubbasin cabinet cart countertop drawer garbagecan handtowelholder shelf"
        " sidetable sinkbasin toilet",
        "kettle": f"{_TABLES} cabinet shelf sinkbasin stoveburner",
        "keychain": f"{_FURNITURE} {_SEATS} drawer safe",
        "knife": f"{_TABLES} drawer sinkbasin",
        "ladle": "cabinet countertop diningtable drawer sinkbasin",
        "laptop": f"{_SEATS} bed coffeetable desk diningtable dresser sidetable",
        "lettuce": f"{_TABLES} fridge garbagecan sinkbasin",
        "mug": f"{_TABLES} cabinet coffeemachine desk dresser fridge microwave shelf sinkbasin",
        "newspaper": f"{_SEATS} cabinet coffeetable diningtable drawer dresser garbagecan shelf"
        " sidetable",
        "pan": f"{_TABLES} cabinet fridge sinkbasin stoveburner",
        "pen": f"{_FURNITURE} drawer garbagecan",
        "pencil": f"{_FURNITURE} drawer garbagecan",
        "peppershaker": f"{_TABLES} cabinet drawer shelf",
        "pillow": f"{_SEATS} bed",
        "plate": f"{_TABLES} cabinet coffeetable dresser fridge microwave shelf sinkbasin",
        "plunger": "cabinet cart",
        "pot": f"{_TABLES} cabinet fridge shelf sinkbasin stoveburner",
        "potato": f"{_TABLES} fridge garbagecan microwave sinkbasin",
        "remotecontrol": f"{_FURNITURE} {_SEATS} drawer",
        "saltshaker": f"{_TABLES} cabinet drawer shelf",
        "soapbar": "bathtubbasin cabinet cart countertop drawer garbagecan shelf sidetable"
        " sinkbasin toilet",
        "soapbottle": f"{_TABLES} cabinet cart drawer garbagecan shelf toilet",
        "spatula": f"{_TABLES} drawer sinkbasin",
        "spoon": f"{_TABLES} drawer sinkbasin",
        "spraybottle": "cabinet cart countertop drawer garbagecan shelf sidetable toilet",
        "statue": f"{_FURNITURE} safe",
        "tennisracket": "bed desk dresser sidetable",
        "tissuebox": f"{_FURNITURE} cabinet cart countertop drawer garbagecan toilet tvstand",
        "toiletpaper": "cabinet cart countertop drawer garbagecan shelf sidetable toilet"
        " toiletpaperhanger",
        "tomato": f"{_TABLES} fridge garbagecan microwave sinkbasin",
        "towel": "towelholder",
        "vase": f"{_FURNITURE} cabinet countertop safe",
        "watch": f"{_FURNITURE} drawer",
        "wateringcan": "cabinet coffeetable desk diningtable drawer dresser shelf sidetable",
        "winebottle": f"{_TABLES} cabinet fridge garbagecan shelf",
    }.items()
}
"""Which receptacles hold a thing; the generator also lays it there."""

ABLE: Mapping[str, frozenset[str]] = {
    "cleanable": frozenset(
        _words(
            "apple bowl butterknife cloth cup dishsponge egg fork kettle knife ladle lettuce mug"
            " pan plate pot potato soapbar spatula spoon tomato"
        )
    ),
    "heatable": frozenset(_words("apple bread cup egg mug plate potato tomato")),
    "coolable": frozenset(
        _words("apple bowl bread cup egg lettuce mug pan plate pot potato tomato winebottle")
    ),
    "sliceable": frozenset(_words("apple bread egg lettuce potato tomato")),
    "isreceptacleobject": frozenset(_words("bowl box cup mug pan plate pot")),
    "toggleable": frozenset({LAMP}),
}
"""What can be done to which things, by ALFWorld's predicates (an egg can be cleaned there)."""
