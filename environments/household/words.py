"""What ALFWorld calls things and how it says what is seen.

A policy trained on these words must find exactly these words elsewhere, so every odd one is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

WELCOME = "-= Welcome to TextWorld, ALFRED! =-\n\n{view}\n\nYour task is to: {goal}"

MIDDLE = "You are in the middle of a room. Looking quickly around you, you see {seen}."

FACING = "You are facing the {places}. Next to it, you see {seen}."

HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""


def display_names(identifiers: Iterable[str]) -> dict[str, str]:
    """Return what each thing is called.

    Things are numbered within their class from the top down, in the order of their identifiers:

    >>> display_names(["mug_bar_1", "mug_bar_2", "sink_bar_1_bar_sinkbasin"])
    {'mug_bar_1': 'mug 2', 'mug_bar_2': 'mug 1', 'sink_bar_1_bar_sinkbasin': 'sinkbasin 1'}
    """
    members: defaultdict[str, list[str]] = defaultdict(list)
    for identifier in sorted(identifiers):
        name = identifier.partition("_bar_")[0]
        members[name + "basin" if "basin" in identifier else name].append(identifier)
    return {
        identifier: f"{name} {len(group) - rank}"
        for name, group in members.items()
        for rank, identifier in enumerate(group)
    }


def listed(names: Sequence[str]) -> str:
    """Return an enumeration with articles: always "a", as ALFWorld has it.

    >>> listed(["apple 1", "mug 2"])
    'a apple 1, and a mug 2'
    """
    if not names:
        return "nothing"
    return joined([f"a {name}" for name in names])


def joined(names: Sequence[str]) -> str:
    """Return an enumeration without articles."""
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])}, and {names[-1]}"


CONDITIONS: Mapping[tuple[str, ...], str] = {
    ("clean", "hot", "sliced"): "hot and clean sliced",
    ("clean", "cool", "sliced"): "cool and clean sliced",
    ("clean", "sliced"): "clean sliced",
    ("hot", "sliced"): "hot sliced",
    ("cool", "sliced"): "cool sliced",
    ("clean", "hot"): "hot and clean",
    ("clean", "cool"): "cool and clean",
    ("hot",): "hot",
    ("clean",): "clean",
    ("cool",): "cold",
    ("sliced",): "sliced",
}
"""The adjective for each combination; an object is never hot and cool at once."""
