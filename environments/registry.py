"""Environments by name, for the command line and configuration: ours, and those of other packages.

A package brings one by an entry point in the group `apprentice.environments`: a name, and a class
or function that returns the environment and whose keywords are its settings. Nothing of it is
imported before it is asked for by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path

from pydantic import ValidationError, validate_call

from environments.environment import Environment
from environments.errors import UnknownNameError, UserError
from environments.extras import missing, require

Make = Callable[..., Environment]

GROUP = "apprentice.environments"
"""The entry points among which environments of other packages are found."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What can be said of an environment before it is opened."""

    name: str
    words: str
    license: str  # of what it plays; empty: its package says
    package: str  # the distribution that brings it; empty: this one
    missing: tuple[str, ...]  # distributions that it needs and that are not installed


@dataclass(frozen=True, slots=True)
class World:
    """An environment of ours, and where what makes it is: MODULE:NAME, as entry points say it."""

    words: str
    license: str  # of what it plays
    plain: str | None  # called with the settings; None: it cannot be without games
    from_games: str | None = None  # called with the games as well; None: it takes none
    wanted: str = ""  # the games that it cannot be without


class SettingError(UserError, ValueError):
    """A keyword of an environment has a value that does not fit."""

    def __init__(self, environment: str, setting: object, given: object, fault: str) -> None:
        super().__init__(f"setting {setting!r} of {environment} is {given!r}: {fault.lower()}")


class PluginError(UserError, ImportError):
    """An environment of another package cannot be loaded."""


def open_environment(name: str, *, games: Path | None = None, **settings: object) -> Environment:
    """Return the environment with this name.

    Args:
        name: one of `names()`.
        games: real games to play instead of generated ones, where the environment takes any.
        settings: keywords of its constructor, the one for real games where `games` is given.

    Raises:
        UnknownNameError: there is none of this name.
        UserError: its package is missing, or the games or the settings are not usable.
    """
    make = _maker(name, games)
    known = tuple(signature(make).parameters)
    for setting in settings:
        if setting not in known:
            raise UnknownNameError(f"setting of {name}", setting, known)
    try:
        return validate_call(make)(**settings)
    except ValidationError as error:
        fault = error.errors()[0]
        raise SettingError(name, fault["loc"][0], fault["input"], fault["msg"]) from None


def describe() -> tuple[Listed, ...]:
    """Return all environments, ours first, without importing any."""
    ours = [
        Listed(name, world.words, world.license, "", missing(name))
        for name, world in ENVIRONMENTS.items()
    ]
    theirs = [
        Listed(name, _summary(entry), "", entry.dist.name if entry.dist else "?", ())
        for name, entry in plugins().items()
        if name not in ENVIRONMENTS
    ]
    return (*ours, *theirs)


def names() -> tuple[str, ...]:
    """Return the names of all environments, ours first."""
    return (*ENVIRONMENTS, *(name for name in plugins() if name not in ENVIRONMENTS))


def plugins() -> dict[str, EntryPoint]:
    """Return the environments that other packages bring, by name; none is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _maker(name: str, games: Path | None) -> Make:
    if name in ENVIRONMENTS:
        return _ours(name, games)
    found = plugins()
    if name not in found:
        advice = "one of your own is known once it is installed: pip install --editable FOLDER"
        raise UnknownNameError("environment", name, names(), advice)
    make = _function(_load(found[name]))
    return make if games is None else partial(make, games=games)


def _ours(name: str, games: Path | None) -> Make:
    world = ENVIRONMENTS[name]
    place = world.plain if games is None else world.from_games
    if place is None:
        given = games and str(games)
        fault = "it takes none; leave it out" if games else f"wanted {world.wanted}"
        raise SettingError(name, "games", given, fault)
    require(name)
    make = _function(EntryPoint(name, place, GROUP).load())
    return make if games is None else partial(make, games)


def _summary(entry: EntryPoint) -> str:
    return (entry.dist.metadata["Summary"] if entry.dist else None) or entry.value


def _load(entry: EntryPoint) -> Make:
    try:
        return entry.load()
    except (ImportError, AttributeError, SyntaxError) as error:
        raise PluginError(
            f"environment {entry.name!r} cannot be loaded from {entry.value!r}: {error}; mend its "
            "package, or uninstall it"
        ) from None


def _function(make: Make) -> Make:
    """Return a function with the parameters of `make`, for pydantic checks no calls of classes."""
    if not isinstance(make, type):
        return make

    @wraps(make.__init__)
    def construct(*games: Path, **settings: object) -> Environment:
        return make(*games, **settings)

    construct.__dict__["__signature__"] = signature(make)
    return construct


ENVIRONMENTS: Mapping[str, World] = {
    "household": World(
        "chores in a house: ALFWorld's games, or generated ones",
        "ours; ALFWorld's games: MIT",
        "environments.household.household:Household.generated",
        "environments.household.household:Household.from_games",
    ),
    "alfworld": World(
        "the household in ALFWorld's official engine, slowly: to compare with",
        "MIT; parts of its engine: GPL",
        "environments.worlds.official:OfficialHousehold.generated",
        "environments.worlds.official:OfficialHousehold.from_games",
    ),
    "code": World(
        "Python functions to write and repair: HumanEval",
        "MIT",
        "environments.code.code:Code.humaneval",
    ),
    "harbor": World(
        "a terminal: a folder of tasks in Harbor's layout (--games)",
        "that of the tasks",
        None,
        "environments.harbor.harbor:Harbor",
        "a folder of tasks: --games FOLDER",
    ),
    "reasoning_gym": World(
        "puzzles with one answer, made from seeds: Reasoning Gym",
        "Apache-2.0",
        "environments.worlds.reasoning:Reasoning",
    ),
    "textworld_express": World(
        "eight fast text games: CookingWorld, TWC, coins, ...",
        "Apache-2.0",
        "environments.worlds.express:Express",
    ),
    "scienceworld": World(
        "30 kinds of school experiments in text",
        "Apache-2.0",
        "environments.worlds.science:ScienceWorld",
    ),
    "textworld": World(
        "text games made from seeds: cooking, coins, treasure",
        "MIT; parts of its engine: GPL",
        "environments.worlds.made:TextWorld",
    ),
    "tau2": World(
        "customers of a shop or an airline, served with tools",
        "MIT",
        "environments.worlds.desk:Desk",
    ),
    "gymnasium": World(
        "any Gymnasium environment that shows text: set its id",
        "that of the environment",
        "environments.bridges.gymnasium_import:FromGymnasium",
    ),
    "minigrid": World(
        "rooms of BabyAI and MiniGrid, told in words",
        "MIT",
        "environments.worlds.minigrid:MiniGrid",
    ),
    "openenv": World(
        "the environment of an OpenEnv server: set its url",
        "that of the environment",
        "environments.bridges.openenv_import:FromOpenEnv",
    ),
    "mcp": World(
        "the tools of an MCP server; set how it starts and your reward",
        "yours",
        None,
        "environments.bridges.mcp_tools:McpTools.from_settings",
        "a file of tasks: --games FILE.jsonl",
    ),
}
