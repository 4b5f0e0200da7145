"""Which episodes an audit looks at: several attempts at each task by one policy.

What is stored already counts; only what is missing is played, and stored like any other episode.
Attempts with the same seed are the same attempt, and what memory briefed is another policy's work.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path
from random import Random

from agent.attempt import Attempt
from apprentice.build import make_environment, make_rig, make_store, run_lock
from apprentice.runs.runs import play
from apprentice.settings.acting import BASE, LEARNERS, LOCAL, Named, settled
from apprentice.settings.config import Config
from apprentice.terminal.terminal import Tally, progress
from environments.episode import Ending, Episode, Split, Task
from environments.errors import UserError
from environments.seed import derive
from memory.store.store import Filters, Store

ID_BYTES = 8

FEWEST = 2
"""Tasks that an interval can be drawn over."""


class TooFewError(UserError, LookupError):
    """There are not enough episodes to say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many attempts at which tasks."""

    split: Split = Split.TRAIN
    run: str | None = None  # only episodes of this run, whatever their policy; nothing is played
    kind: str | None = None  # only of this task type
    tasks: int = 24
    attempts: int = 8  # at each


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is, and what would complete it."""

    groups: tuple[tuple[str, ...], ...]  # ids of attempts at one task each
    missing: tuple[Attempt, ...]

    @property
    def episodes(self) -> int:
        return sum(map(len, self.groups))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a stored attempt."""

    id: str
    task: str
    seed: int


def exactly(config: Config) -> Config:
    """Return the settings as an audit keeps them: the policy named exactly, no memory recalled."""
    memory = config.memory.model_copy(update={"recall": "off"})
    return settled(config.model_copy(update={"memory": memory}))


def name_of(use: str) -> str:
    """Return the name under which a policy acts that a setting names exactly.

    >>> name_of("local:small@walker"), name_of("local:small@base"), name_of("openai:gpt")
    ('small@walker', 'small', 'openai:gpt')
    >>> name_of("vllm:small@base")
    'vllm:small'
    """
    named = Named.parse(use)
    if named.kind not in LEARNERS:
        return use
    adapter = "" if named.adapter == BASE else Path(named.adapter).name
    name = f"{named.model}@{adapter}" if adapter else named.model
    return name if named.kind == LOCAL else f"{named.kind}:{name}"


def collect(config: Config, wanted: Wanted, store: Store) -> Sample:
    """Return the stored attempts that an audit looks at, and those that have to be played.

    Tasks with the most attempts come first, then others of the split by lot.
    """
    stored = _stored(config, wanted, store)
    by_attempts = sorted(stored, key=lambda task: -len(stored[task]))[: wanted.tasks]
    full = [task for task in by_attempts if len(stored[task]) >= wanted.attempts]
    groups = tuple(tuple(each.id for each in stored[task][: wanted.attempts]) for task in full)
    if wanted.run is not None or len(groups) == wanted.tasks:
        return Sample(groups, ())
    return Sample(groups, _missing(config, wanted, stored, by_attempts))


def collected(config: Config, wanted: Wanted) -> Sample:
    """Return the same, of the store of these settings."""
    with make_store(config) as store:
        return collect(config, wanted, store)


def load(store: Store, sample: Sample) -> tuple[tuple[Episode, ...], ...]:
    """Return the episodes of the sample.

    Raises:
        TooFewError: there are no two tasks with enough attempts.
    """
    if len(sample.groups) < FEWEST:
        raise TooFewError(
            f"{len(sample.groups)} tasks have enough attempts, and {FEWEST} are the least; "
            "lower --attempts, name another --run, or leave --run out and they are played"
        )
    return tuple(tuple(store.get(id) for id in group) for group in sample.groups)


def play_all(config: Config, attempts: Sequence[Attempt], name: str) -> None:
    """Make these attempts and store each episode as it ends; those killed midway go on."""
    with make_rig(config) as rig:
        tally = Tally(len(attempts), 0, time.monotonic)
        with run_lock(config, name), progress(tally) as shown:

            def keep(episode: Episode) -> None:
                rig.store.add(episode)
                shown.episode(episode)

            async def playing() -> None:
                try:
                    await play(name, attempts, rig, keep=keep, on_step=shown.step)
                finally:
                    await rig.policy.close()

            asyncio.run(playing())


def attempts_at(
    config: Config, task: Task, seeds: Iterable[int], seen: set[int], many: int
) -> tuple[Attempt, ...]:
    """Return so many attempts at a task with seeds that were not used yet."""
    fresh = (seed for seed in seeds if seed not in seen)
    return tuple(
        Attempt(id=_identity(config, task, seed), task=task, seed=seed)
        for seed in islice(fresh, many)
    )


def _stored(config: Config, wanted: Wanted, store: Store) -> dict[str, list[_Known]]:
    """Return the usable attempts by task, oldest first, each seed once."""
    filters: Filters = {
        "environment": config.environment.name,
        "split": wanted.split,
        "kind": wanted.kind,
        "run": wanted.run,
        "policy": None if wanted.run else name_of(config.policy.use),
    }
    found: dict[str, dict[int, _Known]] = defaultdict(dict)
    for episode in store.episodes(**filters):
        if _usable(episode, config, wanted):
            found[episode.task.id][episode.seed] = _Known(episode.id, episode.task.id, episode.seed)
    return {task: list(reversed(each.values())) for task, each in reversed(found.items())}


def _usable(episode: Episode, config: Config, wanted: Wanted) -> bool:
    if episode.ending is Ending.BROKEN or not episode.steps:
        return False
    if wanted.run is not None:
        return True
    told = episode.temperature
    return not episode.briefing and told in (None, config.policy.temperature)


def _missing(
    config: Config, wanted: Wanted, stored: dict[str, list[_Known]], begun: Sequence[str]
) -> tuple[Attempt, ...]:
    """Return the attempts that complete tasks begun, and then new ones."""
    world = make_environment(config)
    tasks = [task for task in world.tasks(wanted.split) if wanted.kind in (None, task.kind)]
    known = {task.id: task for task in tasks}
    order = Random(derive(config.seed, "audit tasks")).sample(tasks, len(tasks))
    chosen = [known[id] for id in begun if id in known]
    chosen += [task for task in order if task.id not in begun]
    return tuple(
        attempt
        for task in chosen[: wanted.tasks]
        for attempt in _more(config, task, stored.get(task.id, []), wanted.attempts)
    )


def _more(config: Config, task: Task, have: Sequence[_Known], attempts: int) -> tuple[Attempt, ...]:
    seeds = (derive(config.seed, "audit", task.id, number) for number in count())
    seen = {each.seed for each in have}
    return attempts_at(config, task, seeds, seen, max(0, attempts - len(have)))


def _identity(config: Config, task: Task, seed: int) -> str:
    """Return the id of an attempt: a function of all that decides it."""
    parts = (config.policy.use, config.policy.temperature, config.limits.steps, task.id, seed)
    said = "\x1f".join(map(str, parts))
    return blake2b(said.encode(), digest_size=ID_BYTES).hexdigest()
