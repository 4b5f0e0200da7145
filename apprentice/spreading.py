"""Attempts that are played on a Ray cluster: where a run goes, and how its settings travel.

A policy travels as the setting that names it, never as weights. Each worker makes its own: an
`openai:` policy reads OPENAI_API_KEY where the worker runs, for the key itself stays here; a
`local:` one loads its model once in each worker, from the same path as here.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from environments.errors import UserError

if TYPE_CHECKING:
    from agent.play.graph import Conditions
    from apprentice.runs.runs import Rig
    from apprentice.settings.config import Config

HERE = "here"
RAY = "ray"


class PlaceOfWorkError(UserError, ValueError):
    """Attempts cannot be played there."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the attempts of a run are played."""

    on: str = HERE  # here | ray: a Ray of its own | ray://HOST:PORT or ray://auto: one that runs
    workers: int | None = None  # None: one for each processor

    def __post_init__(self) -> None:
        kind, _, _ = self.on.partition("://")
        if self.on != HERE and (kind != RAY or self.on == f"{RAY}://"):
            raise PlaceOfWorkError(f"--on {self.on!r}; wanted here, ray, or ray://HOST:PORT")
        if self.on == HERE and self.workers is not None:
            raise PlaceOfWorkError(f"--workers {self.workers} without --on ray; add it")

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what to add to a command that is to go on there; empty: nothing was chosen."""
        many = () if self.workers is None else ("--workers", str(self.workers))
        return () if self.on == HERE else ("--on", self.on, *many)

    @property
    def address(self) -> str | None:
        """Return the head to join; None: start one here."""
        return self.on.partition("://")[2] or None


@contextmanager
def spread(config: "Config", rig: "Rig", place: Workplace) -> "Generator[Rig]":
    """Yield a rig whose attempts are played there.

    Raises:
        PlaceOfWorkError: these attempts can only be played here.
        UserError: Ray is not installed, or not there.
    """
    if place.on == HERE:
        yield rig
        return
    if rig.search is not None:
        raise PlaceOfWorkError(f"--search looks ahead in this process; leave out --on {place.on}")
    from agent.play.fleet import Crew, fleet

    # Ray reports its use to its makers unless told otherwise, and can be told only so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # noqa: TID251
    crew = Crew(
        furnish=partial(furnished, travelling(config)),
        policy=rig.policy.name,
        width=min(rig.width, rig.policy.width),
        clock=rig.clock,
    )
    with fleet(crew, place.address, place.workers) as opened:
        yield replace(rig, fleet=opened)


def travelling(config: "Config") -> str:
    """Return the settings as a worker reads them: whole paths, no secrets."""
    games = config.environment.games
    world = config.environment.model_copy(update={"games": games and games.absolute()})
    places = {"home": config.home.absolute(), "cache": config.cache.absolute()}
    whole = config.model_copy(update={**places, "environment": world})
    return whole.model_dump_json(exclude={"endpoint": {"api_key"}, "windows": True, "store": True})


def furnished(settings: str) -> "Conditions":
    """Return what a worker plays with."""
    from agent.attempt import Limits
    from agent.play.graph import Conditions
    from apprentice.build import make_environment, make_policy, now
    from apprentice.settings.config import Config

    config = Config.model_validate_json(settings)
    return Conditions(
        environment=make_environment(config),  # first: a slip in a name is told before any loading
        policy=make_policy(config),
        limits=Limits(**config.limits.model_dump()),
        clock=now,
    )
