"""Contenders of whom it is known which tasks they solve."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from agent.attempt import Limits
from agent.scripted import Scripted
from apprentice.gate.exam import Answer, Comparison, Seat, Sheet
from apprentice.runs.runs import Rig
from environments.episode import Split, Task
from environments.transcript import Origin
from memory.store.store import Store
from worlds import Workshop

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Silent:
    """Watches and counts."""

    def __init__(self) -> None:
        self.episodes = 0

    def step(self, attempt, step) -> None: ...

    def episode(self, episode) -> None:
        self.episodes += 1


def dev_tasks() -> tuple[Task, ...]:
    return tuple(Workshop().tasks(Split.DEV))


def a_seat(
    store: Store, folder: Path, name: str, solves: Collection[str], *, width: int = 4
) -> Seat:
    """A contender that solves the tasks with these ids at every try, and no others."""
    world = Workshop()
    rig = Rig(
        environment=world,
        policy=Scripted(()),
        store=store,
        limits=Limits(steps=3),
        width=width,
        checkpoints=folder,
        clock=lambda: NOON,
    )
    seat = Seat(name=name, key=name, seed=7, rig=rig)
    tasks = {each.id: each.task for each in seat.attempts(dev_tasks(), tries=4)}

    def script(turn):
        task = tasks[turn.episode]
        written = sum(message.origin is Origin.POLICY for message in turn.messages)
        return world.gold(task)[written] if task.id in solves and written < 2 else "look around"

    return replace(seat, rig=replace(rig, policy=Scripted(script)))


def a_sheet(name: str, solved: Collection[bool], *, kind: str = "walk", sure: float | None = None):
    return Sheet(
        name=name,
        answers=tuple(
            Answer(
                task=f"{kind}-{number}",
                kind=kind,
                episode=f"{name}-{number}",
                solved=each,
                steps=3,
                prompt_tokens=10,
                confidence=sure,
            )
            for number, each in enumerate(solved)
        ),
    )


def a_comparison(a: Collection[bool], b: Collection[bool], **how) -> Comparison:
    return Comparison(a=a_sheet("a", a, **how), b=a_sheet("b", b, **how))
