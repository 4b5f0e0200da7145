"""What the tests of Ray share: what its workers play with, and which processes they are."""

import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.attempt import Limits
from agent.play.fleet import INSTALL, Crew
from agent.play.graph import Conditions
from agent.scripted import RandomPolicy
from practicing import NOON, Dawdling, ticking
from worlds import Workshop, WorkshopPlay

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason=INSTALL)


def workshop() -> Conditions:
    """Return a workshop in which a random policy takes its time."""
    return Conditions(
        policy=Dawdling(RandomPolicy()),
        environment=Workshop(),
        limits=Limits(steps=8),
        clock=ticking(),
    )


class Deadly(Workshop):
    """Whoever enters the garden takes the whole process with them."""

    def start(self, task):
        return _DeadlyPlay(task)


class _DeadlyPlay(WorkshopPlay):
    def step(self, action):
        if action == "go to garden":
            import os

            os._exit(1)
        return super().step(action)


class Plodding(RandomPolicy):
    """A random policy that takes 50 ms for each turn, so that there is time to be killed."""

    async def complete(self, turn):
        import asyncio

        await asyncio.sleep(0.05)
        return await super().complete(turn)


def deadly() -> Conditions:
    return Conditions(
        policy=RandomPolicy(), environment=Deadly(), limits=Limits(steps=8), clock=ticking()
    )


def plodding() -> Conditions:
    return Conditions(
        policy=Plodding(), environment=Workshop(), limits=Limits(steps=8), clock=ticking()
    )


def crew(furnish, width: int) -> Crew:
    return Crew(furnish=furnish, policy="random", width=width, clock=lambda: NOON)


def processes(beginning: str, under: int | None = None) -> list[int]:
    """Return the processes whose command line begins so, those below one process if it is given."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _command(entry).startswith(beginning):
            pid = int(entry.name)
            if under is None or under in _ancestry(pid):
                found.append(pid)
    return found


def waited_for(found, seconds: float = 240.0):
    """Return what is found, once it is."""
    until = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)
    return what


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _ancestry(pid: int) -> list[int]:
    ancestors = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        ancestors.append(pid)
    return ancestors
