"""Environments by name, for the command line and configuration."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from environments.environment import Environment
from environments.errors import UnknownNameError
from environments.household.household import Household

Make = Callable[..., Environment]


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
    return ENVIRONMENTS[name](games)(**settings)


def _household(games: Path | None) -> Make:
    return Household.generated if games is None else partial(Household.from_games, games)


ENVIRONMENTS: Mapping[str, Callable[[Path | None], Make]] = {"household": _household}
