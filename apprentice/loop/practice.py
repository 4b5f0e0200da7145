"""What a round practises, and how its attempts are made: now, or while an earlier round trains.

The plan names who makes the attempts, at what, and what memory said before each; so it comes out
the same whenever they are made, and however often that was interrupted.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import blake2b
from random import Random

from agent.attempt import Attempt
from apprentice.build import make_bank, make_environment, make_rig, make_store
from apprentice.findings.sample import name_of
from apprentice.gate.proving import to_practise
from apprentice.loop.chances import tried
from apprentice.loop.curriculum import Mix, chosen
from apprentice.loop.reports import Asked, Recalled, Told
from apprentice.loop.site import Site
from apprentice.runs.remember import Told as Recollections
from apprentice.runs.runs import EmptySplitError, Rig, Watcher, play
from apprentice.settings.config import Config
from environments.episode import Episode, Split, Task
from memory.knowledge.items import Standing

LOOKED_BACK = 5_000
"""Newest train episodes that the choice of tasks rests on; older ones were another policy's."""

KEY_BYTES = 8


def planned(site: Site, student: str, *again: str) -> Recalled:
    """Choose what to practise, and what memory says before each attempt.

    Args:
        site: where.
        student: the policy, exactly.
        again: what tells the attempts from those of an earlier plan of this round.
    """
    tasks = _tasks(site, student)
    attempts = [
        Attempt(
            id=_id(site.round.id, task.id, str(number), *again),
            task=task,
            seed=site.seed("practice", task.id, number),
            run=site.practice,
        )
        for task in tasks
        for number in range(site.config.learn.attempts)
    ]
    told: Recollections = {}
    briefed = _briefed(practising(site.config, student), attempts, told)
    return Recalled(
        attempts=tuple(_asked(each, told) for each in briefed),
        kinds=dict(sorted(Counter(task.kind for task in tasks).items())),
    )


def practising(config: Config, student: str) -> Config:
    """Return the settings of practice: the student explores, for as long as it may."""
    learn = config.learn
    update = {"use": student, "temperature": learn.temperature}
    limits = config.limits.model_copy(update={"steps": learn.steps or config.limits.steps})
    return config.model_copy(
        update={"policy": config.policy.model_copy(update=update), "limits": limits}
    )


def unbriefed(config: Config) -> Config:
    """Return the settings under which a plan is carried out: memory has said what it had to say."""
    return config.model_copy(update={"memory": config.memory.model_copy(update={"recall": "off"})})


def missing(site: Site, plan: Recalled) -> list[Asked]:
    """Return the attempts of a plan that are not stored yet."""
    with make_store(site.config) as store:
        kept = store.episode_ids(site.practice)
    return [each for each in plan.attempts if each.id not in kept]


async def make(
    site: Site,
    asked: Iterable[Asked],
    rig: Rig,
    watcher: Watcher | None = None,
) -> None:
    """Make attempts, and store each as it ends; the policy stays open.

    Args:
        site: where.
        asked: which; none that is stored already.
        rig: who makes them.
        watcher: told of every step and episode.
    """

    def keep(episode: Episode) -> None:
        rig.store.add(episode)
        if watcher is not None:
            watcher.episode(episode)

    attempts = [_attempt(site, each, rig.environment.task) for each in asked]
    on_step = None if watcher is None else watcher.step
    await play(site.practice, attempts, rig, keep=keep, on_step=on_step)


def _tasks(site: Site, student: str) -> tuple[Task, ...]:
    """Return the train tasks to practise, chosen by how the student did at them."""
    world, learn = make_environment(site.config), site.config.learn
    tasks = to_practise(world.tasks(Split.TRAIN), site.config.memory)
    if not tasks:
        raise EmptySplitError(world.name, Split.TRAIN)
    with make_store(site.config) as store:
        rows = store.rows(split=Split.TRAIN, environment=world.name, limit=LOOKED_BACK)
    model = name_of(student).partition("@")[0]
    own = (row for row in rows if row.policy.partition("@")[0] == model)
    mix = Mix(failing=learn.failing, middling=learn.middling, attempts=learn.attempts)
    count = min(learn.tasks, len(tasks))
    return chosen(tasks, tried(own), mix, count, Random(site.seed("tasks")))


def _briefed(config: Config, attempts: list[Attempt], told: Recollections) -> list[Attempt]:
    """Return the attempts with what memory says; all at once, so a kill changes no briefing."""
    with make_bank(config) as bank:
        if config.memory.recall == "off" or not bank.count(standing=Standing.ACTIVE):
            return attempts
    with make_rig(config) as rig:
        assert rig.reminder is not None
        briefed = list(rig.reminder.brief(attempts, told))
        asyncio.run(rig.policy.close())
    return briefed


def _asked(attempt: Attempt, told: Recollections) -> Asked:
    found = told.get(attempt.id)
    return Asked(
        id=attempt.id,
        task=attempt.task.id,
        seed=attempt.seed,
        briefing=attempt.briefing,
        told=tuple(
            Told(
                item=choice.item.id,
                version=choice.item.version,
                shown=choice.shown,
                propensity=choice.propensity,
            )
            for choice in (found.choices if found else ())
        ),
    )


def _attempt(site: Site, asked: Asked, task: Callable[[str], Task]) -> Attempt:
    return Attempt(
        id=asked.id,
        task=task(asked.task),
        seed=asked.seed,
        briefing=asked.briefing,
        run=site.practice,
    )


def _id(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode(), digest_size=KEY_BYTES).hexdigest()
