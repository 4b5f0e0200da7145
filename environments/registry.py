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
    """An environment of ours."""

    words: str
    license: str  # of what it plays
    make: Callable[[Path | None], Make]  # given the games, what to call with the settings


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
        return _function(ENVIRONMENTS[name].make(games))
    found = plugins()
    if name not in found:
        advice = "one of your own is known once it is installed: pip install --editable FOLDER"
        raise UnknownNameError("environment", name, names(), advice)
    make = _function(_load(found[name]))
    return make if games is None else partial(make, games=games)


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
    def construct(**settings: object) -> Environment:
        return make(**settings)

    construct.__dict__["__signature__"] = signature(make)
    return construct


def _household(games: Path | None) -> Make:
    from environments.household.household import Household

    return Household.generated if games is None else partial(Household.from_games, games)


def _code(games: Path | None) -> Make:
    from environments.code.code import Code

    _refuse("code", games)
    require("code")
    return Code.humaneval


def _harbor(games: Path | None) -> Make:
    from environments.harbor.harbor import Harbor

    if games is None:
        raise SettingError("harbor", "games", None, "wanted a folder of tasks: --games FOLDER")
    return partial(_function(Harbor), games=games)


def _reasoning(games: Path | None) -> Make:
    from environments.worlds.reasoning import Reasoning

    _refuse("reasoning_gym", games)
    return Reasoning


def _express(games: Path | None) -> Make:
    from environments.worlds.express import Express

    _refuse("textworld_express", games)
    return Express


def _science(games: Path | None) -> Make:
    from environments.worlds.science import ScienceWorld

    _refuse("scienceworld", games)
    return ScienceWorld


def _textworld(games: Path | None) -> Make:
    from environments.worlds.made import TextWorld

    _refuse("textworld", games)
    return TextWorld


def _tau2(games: Path | None) -> Make:
    from environments.worlds.desk import Desk

    _refuse("tau2", games)
    return Desk


def _alfworld(games: Path | None) -> Make:
    from environments.worlds.official import OfficialHousehold

    require("alfworld")
    if games is None:
        return OfficialHousehold.generated
    return partial(OfficialHousehold.from_games, games)


def _gymnasium(games: Path | None) -> Make:
    require("gymnasium")
    from environments.bridges.gymnasium_import import FromGymnasium

    _refuse("gymnasium", games)
    return FromGymnasium


def _minigrid(games: Path | None) -> Make:
    from environments.worlds.minigrid import MiniGrid

    _refuse("minigrid", games)
    return MiniGrid


def _mcp(games: Path | None) -> Make:
    from environments.bridges.mcp_tools import McpTools

    if games is None:
        raise SettingError("mcp", "games", None, "wanted a file of tasks: --games FILE.jsonl")
    return partial(McpTools.from_settings, games)


def _openenv(games: Path | None) -> Make:
    require("openenv")
    from environments.bridges.openenv_import import FromOpenEnv

    _refuse("openenv", games)
    return FromOpenEnv


def _refuse(name: str, games: Path | None) -> None:
    if games is not None:
        raise SettingError(name, "games", str(games), "it takes none; leave it out")


ENVIRONMENTS: Mapping[str, World] = {
    "household": World(
        "chores in a house: ALFWorld's games, or generated ones",
        "ours; ALFWorld's games: MIT",
        _household,
    ),
    "alfworld": World(
        "the household in ALFWorld's official engine, slowly: to compare with",
        "MIT; parts of its engine: GPL",
        _alfworld,
    ),
    "code": World("Python functions to write and repair: HumanEval", "MIT", _code),
    "harbor": World(
        "a terminal: a folder of tasks in Harbor's layout (--games)", "that of the tasks", _harbor
    ),
    "reasoning_gym": World(
        "puzzles with one answer, made from seeds: Reasoning Gym", "Apache-2.0", _reasoning
    ),
    "textworld_express": World(
        "eight fast text games: CookingWorld, TWC, coins, ...", "Apache-2.0", _express
    ),
    "scienceworld": World("30 kinds of school experiments in text", "Apache-2.0", _science),
    "textworld": World(
        "text games made from seeds: cooking, coins, treasure",
        "MIT; parts of its engine: GPL",
        _textworld,
    ),
    "tau2": World("customers of a shop or an airline, served with tools", "MIT", _tau2),
    "gymnasium": World(
        "any Gymnasium environment that shows text: set its id",
        "that of the environment",
        _gymnasium,
    ),
    "minigrid": World("rooms of BabyAI and MiniGrid, told in words", "MIT", _minigrid),
    "openenv": World(
        "the environment of an OpenEnv server: set its url", "that of the environment", _openenv
    ),
    "mcp": World("the tools of an MCP server; set how it starts and your reward", "yours", _mcp),
}
