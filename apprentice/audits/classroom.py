"""A model that is trained again and again from the same beginning, to compare what it was paid for.

What happens here leaves no trace: its attempts are not stored, for they are those of policies that
were taught nonsense, and its weights are thrown away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from langgraph.checkpoint.memory import InMemorySaver

from agent.attempt import Attempt, Limits
from agent.play.practice import practice
from apprentice.build import make_environment, now
from apprentice.distilling.distilling import open_encoder, open_training
from apprentice.settings.acting import BASE, Named, find_acting
from distill.audit.twins import Arm, repaid
from distill.engine.engine import LocalPolicy, LocalSettings
from distill.objectives.presets import PRESETS, Preset
from distill.teaching.curriculum import compared, dealt, demonstrated, grouped
from distill.teaching.excursions import Guide, excursion
from distill.teaching.searching import surveyed
from distill.training.study import study
from distill.training.train import Training
from environments.episode import Ending, Episode, Split, Task
from environments.seed import derive

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from apprentice.audits.cost import Spent
    from apprentice.audits.lesson import Lesson
    from apprentice.settings.config import Config
    from distill.sequences.collate import Chosen
    from distill.sequences.encode import Encoder
    from environments.environment import Environment


Groups = tuple[tuple[Episode, ...], ...]


@dataclass(slots=True, kw_only=True)
class Classroom:
    """The living things, and the weights that every run begins with."""

    config: Config
    world: Environment
    training: Training
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    lesson: Lesson
    spent: Spent
    start: dict[str, Tensor]
    first: dict[tuple[int, bool], Groups] = field(default_factory=dict)  # all arms begin alike

    @property
    def policy(self) -> LocalPolicy:
        """Return who acts with the weights as they are now."""
        settings = LocalSettings(
            lanes=self.config.policy.width,
            length=self.config.distill.length,
            temperature=self.config.policy.temperature,
        )
        return LocalPolicy("twin", self.training.student.model, self.tokenizer, settings)


def open_classroom(config: Config, lesson: Lesson, spent: Spent) -> Classroom:
    """Load the policy; a bare model is shown demonstrations first, or its rewards were all 0."""
    acting = find_acting(config, Named.parse(config.policy.use))
    world = make_environment(config)
    training, tokenizer = open_training(config, acting)
    room = Classroom(
        config=config,
        world=world,
        training=training,
        tokenizer=tokenizer,
        encoder=open_encoder(config, world, acting),
        lesson=lesson,
        spent=spent,
        start={},
    )
    if acting.adapter == BASE and lesson.demonstrations:
        _show(room)
    room.start = training.student.copy()
    return room


def run_arm(room: Classroom, arm: Arm, seed: int) -> list[float]:
    """Train from the beginning as this run is paid; return the share solved of each held-out task.

    The first practice is the same for all runs with the same seed, so it is made once.
    """
    room.training.student.load(room.start)
    room.training = Training(room.training.student, room.training.pace)
    for number in range(room.lesson.rounds):
        groups = _practice(room, arm, seed, number)
        rng = np.random.default_rng(derive(seed, arm.name, number))
        chosen, _ = compared(grouped(chain.from_iterable(repaid(groups, arm.twin, rng))))
        order = Random(derive(seed, "order", number))
        _study(room, list(dealt(chosen, room.config.distill.per_step, order)), arm.preset)
    return examine(room, seed)


def examine(room: Classroom, seed: int, briefing: str = "") -> list[float]:
    """Return the share solved of each held-out task with the weights as they are."""
    tasks = room.world.tasks(Split.DEV)[: room.lesson.held_out]
    groups = _play(room, tasks, room.lesson.tries, ("exam", seed), briefing)
    return [sum(each.solved for each in group) / len(group) for group in groups]


def example(room: Classroom) -> str:
    """Return how one train task was done, in words: the best prompt without any training."""
    task = room.world.tasks(Split.TRAIN)[0]
    gold = "\n".join(room.world.gold(task) or ())
    return f"An example. {task.goal}\n{gold}"


def _practice(room: Classroom, arm: Arm, seed: int, number: int) -> Groups:
    known = room.first.get((seed, arm.one_task)) if number == 0 else None
    if known is not None:
        return known
    lesson, train = room.lesson, room.world.tasks(Split.TRAIN)
    drawn = Random(derive(seed, "tasks", number)).sample(train, lesson.tasks)
    if arm.one_task:
        only = Random(derive(seed, "one task")).sample(train, 1)
        groups = _play(room, only, lesson.practised, ("round", seed, number))
    else:
        groups = _play(room, drawn, lesson.attempts, ("round", seed, number))
    if number == 0:
        room.first[seed, arm.one_task] = groups
    return groups


def _play(
    room: Classroom,
    tasks: Sequence[Task],
    tries: int,
    name: tuple[str | int, ...],
    briefing: str = "",
) -> Groups:
    attempts = [
        Attempt(
            id=f"{derive(*name, task.id, number):016x}",
            task=task,
            seed=derive(*name, task.id, number),
            briefing=briefing,
        )
        for task in tasks
        for number in range(tries)
    ]
    began = time.monotonic()
    episodes = asyncio.run(_played(room, attempts))
    room.spent.episodes += len(episodes)
    room.spent.episode_s += time.monotonic() - began
    by_id = {each.id: each for each in episodes}
    ordered = [by_id[attempt.id] for attempt in attempts]
    return tuple(tuple(ordered[at : at + tries]) for at in range(0, len(ordered), tries))


async def _played(room: Classroom, attempts: Sequence[Attempt]) -> list[Episode]:
    policy = room.policy
    finished = practice(
        policy,
        room.world,
        attempts,
        limits=Limits(**room.config.limits.model_dump()),
        checkpointer=InMemorySaver(),
        clock=now,
        concurrency=room.config.policy.width,
    )
    try:
        async with aclosing(finished):
            return [episode async for episode in finished]
    finally:
        await policy.close()


def _study(room: Classroom, steps: Sequence[Sequence[Chosen]], preset: Preset) -> None:
    began = time.monotonic()
    done = study(room.training, room.encoder, steps, preset, clock=time.monotonic)
    room.spent.updates += done.samples
    room.spent.update_s += time.monotonic() - began


def _show(room: Classroom) -> None:
    """Have the model imitate demonstrations: what the runs have in common."""
    config, rng = room.config, Random(derive(room.config.seed, "audit beginning"))
    tasks = room.world.tasks(Split.TRAIN)[: room.lesson.demonstrations]
    guide = Guide(environment=room.world, whereabouts=surveyed(room.world, tasks))
    for _ in range(config.distill.passes):
        done = [
            excursion(guide, task, room.world.gold(task) or (), rng=rng, now=now())
            for task in tasks
        ]
        solved = [each for each in done if each.episode.ending is Ending.SOLVED]
        steps = list(dealt(demonstrated(solved), config.distill.per_step, rng))
        _study(room, steps, PRESETS["cold-start"])
