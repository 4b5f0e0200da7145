"""Environments by name, for the command line and configuration."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path

from pydantic import ValidationError, validate_call

from environments.environment import Environment
from environments.errors import UnknownNameError, UserError
from environments.household.household import Household

Make = Callable[..., Environment]


class SettingError(UserError, ValueError):
    """A keyword of an environment has a value that does not fit."""

    def __init__(self, environment: str, setting: object, given: object, fault: str) -> None:
        super().__init__(f"setting {setting!r} of {environment} is {given!r}: {fault.lower()}")


def open_environment(name: str, *, games: Path | None = None, **settings: object) -> Environment:
    """Return the environment with this name.

    Args:
        name: one of `ENVIRONMENTS`.
        games: real games to play instead of generated ones.
        settings: keywords of its constructor, the one for real games where `games` is given.

    Raises:
        UnknownNameError: there is none of this name.
        UserError: the games or the settings are not usable.
    """
    if name not in ENVIRONMENTS:
        raise UnknownNameError("environment", name, tuple(ENVIRONMENTS))
    make = ENVIRONMENTS[name](games)
    known = tuple(signature(make).parameters)
    for setting in settings:
        if setting not in known:
            raise UnknownNameError(f"setting of {name}", setting, known)
    try:
        return validate_call(make)(**settings)
    except ValidationError as error:
        fault = error.errors()[0]
        raise SettingError(name, fault["loc"][0], fault["input"], fault["msg"]) from None


def _household(games: Path | None) -> Make:
    return Household.generated if games is None else partial(Household.from_games, games)


ENVIRONMENTS: Mapping[str, Callable[[Path | None], Make]] = {"household": _household}
