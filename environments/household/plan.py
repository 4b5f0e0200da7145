"""What a task asks for, before anything stands or lies anywhere.

The six task types differ in a few words and one appliance, so they are a table and not six classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from environments.household.tables import Room


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a task type needs: an ability, the appliance that uses it, and its sentences."""

    sentences: tuple[str, str]
    ability: str = ""
    appliance: str = ""
    verb: str = ""
    state: str = ""
    count: int = 1
    lamp: bool = False


RECIPES: Mapping[str, Recipe] = {
    "pick_and_place_simple": Recipe(("put a {thing} in {place}.", "put some {thing} on {place}.")),
    "look_at_obj_in_light": Recipe(
        ("look at {thing} under the {place}.", "examine the {thing} with the {place}."), lamp=True
    ),
    "pick_clean_then_place_in_recep": Recipe(
        ("put a clean {thing} in {place}.", "clean some {thing} and put it in {place}."),
        "cleanable",
        "sinkbasin",
        "clean",
        "isclean",
    ),
    "pick_heat_then_place_in_recep": Recipe(
        ("put a hot {thing} in {place}.", "heat some {thing} and put it in {place}."),
        "heatable",
        "microwave",
        "heat",
        "ishot",
    ),
    "pick_cool_then_place_in_recep": Recipe(
        ("put a cool {thing} in {place}.", "cool some {thing} and put it in {place}."),
        "coolable",
        "fridge",
        "cool",
        "iscool",
    ),
    "pick_two_obj_and_place": Recipe(
        ("put two {thing} in {place}.", "find two {thing} and put them in {place}."), count=2
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    recipe: Recipe
    room: Room
    thing: str  # class of what is looked for
    place: str  # class of where it goes, or of where the lamp stands
    sources: tuple[str, ...]  # class of where each one lies
    sentence: str

    @property
    def needed(self) -> list[str]:
        """Return the classes of receptacle that the task cannot do without."""
        wanted = (self.recipe.appliance, self.place, *self.sources)
        return [name for name in dict.fromkeys(wanted) if name]
