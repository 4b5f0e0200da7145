"""A run: attempts planned from one seed, practised, and each kept the moment it ends.

A run can be killed at any time and carried on: the plan is a function of the run, the identity of
an episode is a function of its place in the plan, and what is stored already is not asked again.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Protocol

from agent.attempt import Attempt, Limits
from agent.play.checkpoints import checkpoints
from agent.play.fleet import Fleet
from agent.play.practice import practice
from agent.policy import Policy
from apprentice.runs.remember import Reminder, Told
from apprentice.runs.searching import Searching
from environments.environment import Environment
from environments.episode import Episode, Split, Step, Task
from environments.errors import UserError
from environments.seed import derive
from memory.store.records import Run
from memory.store.store import Store


class EmptySplitError(UserError, LookupError):
    """There is nothing to do in this split."""

    def __init__(self, environment: str, split: Split) -> None:
        super().__init__(f"{environment} has no {split} tasks; choose another --split or --games")


class Watcher(Protocol):
    """Told of what happens while it happens."""

    def step(self, attempt: Attempt, step: Step) -> None: ...
    def episode(self, episode: Episode) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The living things that a run needs."""

    environment: Environment
    policy: Policy
    store: Store
    limits: Limits
    width: int  # episodes at once, unless the policy works on fewer
    checkpoints: Path  # where episodes under way are kept
    clock: Callable[[], datetime]
    reminder: Reminder | None = None  # None: nothing is recalled
    search: Searching | None = None  # None: every attempt is acted as it comes
    fleet: Fleet | None = None  # None: attempts are played in this process

    @property
    def actor(self) -> str:
        """Return the name under which episodes are kept."""
        name = self.policy.name
        return name if self.search is None else self.search.name(name)


def plan(run: Run, tasks: Sequence[Task]) -> tuple[Attempt, ...]:
    """Return the attempts of a run: its tasks in an order of their own, again when they run out."""
    if not tasks:
        raise EmptySplitError(run.environment, run.split)
    order = Random(derive(run.seed, "order")).sample(tasks, len(tasks))
    chosen = islice(cycle(order), run.episodes)
    return tuple(_attempt(run, task, at // len(order)) for at, task in enumerate(chosen))


async def carry_out(run: Run, attempts: Sequence[Attempt], rig: Rig, watcher: Watcher) -> None:
    """Make every attempt that is not stored yet, store each as it ends, and close the policy.

    Raises:
        UserError: something that someone can mend; what is finished is stored, the rest resumes.
    """
    kept = rig.store.episode_ids(run.id)
    left = [each for each in attempts if each.id not in kept]
    told: Told = {}

    def keep(episode: Episode) -> None:
        rig.store.add(episode)
        if rig.reminder is not None and episode.id in told:
            rig.reminder.note(episode, told.pop(episode.id))
        watcher.episode(episode)

    briefed = left if rig.reminder is None else rig.reminder.brief(left, told)
    try:
        await play(run.id, briefed, rig, keep=keep, on_step=watcher.step)
    finally:
        await rig.policy.close()
    rig.store.finish_run(run.id, rig.clock())


async def play(
    name: str,
    attempts: Iterable[Attempt],
    rig: Rig,
    *,
    keep: Callable[[Episode], None],
    on_step: Callable[[Attempt, Step], None] | None = None,
) -> None:
    """Make these attempts, and hand over each episode as it ends; the policy stays open.

    Args:
        name: of these attempts together: those under way when they were killed go on.
        attempts: with their briefings.
        rig: who acts where; its reminder is not asked.
        keep: stores an episode.
        on_step: told of each step as it is taken.
    """
    async with aclosing(_played(name, attempts, rig, on_step)) as finished:
        async for episode in finished:
            keep(episode)


def _played(
    name: str,
    attempts: Iterable[Attempt],
    rig: Rig,
    on_step: Callable[[Attempt, Step], None] | None,
) -> AsyncGenerator[Episode]:
    """Return the episodes as they end: played elsewhere, searched before acting, or here."""
    if rig.fleet is not None:
        return rig.fleet.practise(attempts, on_step)
    if rig.search is not None:
        return rig.search.attempts(
            rig.policy,
            rig.environment,
            attempts,
            limits=rig.limits,
            clock=rig.clock,
            width=min(rig.width, rig.policy.width),
        )
    return _practised(name, attempts, rig, on_step)


async def _practised(
    name: str,
    attempts: Iterable[Attempt],
    rig: Rig,
    on_step: Callable[[Attempt, Step], None] | None,
) -> AsyncGenerator[Episode]:
    """Yield the episodes; those under way are kept in a file, which goes when all have ended."""
    file = rig.checkpoints / f"{name}.sqlite"
    async with checkpoints(file) as checkpointer:
        finished = practice(
            rig.policy,
            rig.environment,
            attempts,
            limits=rig.limits,
            checkpointer=checkpointer,
            clock=rig.clock,
            concurrency=min(rig.width, rig.policy.width),
            on_step=on_step,
        )
        async with aclosing(finished):
            async for episode in finished:
                yield episode
    for leftover in file.parent.glob(f"{file.name}*"):  # -wal and -shm too
        leftover.unlink()


def _attempt(run: Run, task: Task, repeat: int) -> Attempt:
    identity = blake2b(f"{run.id}\x1f{task.id}\x1f{repeat}".encode(), digest_size=8).hexdigest()
    return Attempt(id=identity, task=task, seed=derive(run.seed, task.id, repeat), run=run.id)
