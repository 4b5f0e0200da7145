"""From an order to a candidate adapter: read, trained under the rails, kept with its lineage.

All that is learned follows from the order and what it names, so a distillation that was killed is
simply asked for again: it goes on from its last checkpoint and ends in the same weights.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch

from agent.attempt import Attempt, Limits
from apprentice.build import now
from apprentice.distilling.lessons import Lessons, lessons
from apprentice.runs.runs import Rig, play
from apprentice.settings.acting import BASE, LOCAL, Named, find_acting
from apprentice.settings.config import Distill
from apprentice.settings.freezing import StaleSettingsError, reread
from apprentice.settings.orders import Report, read_report, write_report
from distill.engine.engine import LocalPolicy, LocalSettings
from distill.models.adapters import Lineage, load_student, weights_digest
from distill.models.models import best_device, best_dtype, load_tokenizer, resolve
from distill.models.trained import Trained
from distill.objectives.presets import preset_of
from distill.sequences.encode import Encoder
from distill.sequences.render import Renderer
from distill.training.checkpoint import UnlikeError
from distill.training.rails import Rails
from distill.training.study import Bounds, Studied, study
from distill.training.team import ALONE, Team
from distill.training.train import RATES, Pace, Training, Watch
from environments.errors import UserError
from environments.seed import derive

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from apprentice.settings.acting import Acting
    from apprentice.settings.config import Config
    from apprentice.settings.orders import Library, Order
    from environments.environment import Environment
    from environments.episode import Episode

CHECKPOINTS = "checkpoints"
HOUR_S = 3600.0

COLD_RATES = {Trained.FULL: 2e-4, Trained.LORA: 1e-3}
"""Learning rates of a cold start, which falls to nothing: a high one forgets what it need not keep
yet (python -m bench.learning)."""

WARMUP = 10  # steps, at least


class StaleOrderError(UserError, ValueError):
    """An order of another version, whose settings say nothing any more."""

    def __init__(self, order: Order, library: Library, error: StaleSettingsError) -> None:
        file = library.orders / f"{order.name}.json"
        super().__init__(f"order {order.name!r} was {error}: delete {str(file)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one distillation works with."""

    config: Config  # how to learn, as the order says
    order: Order
    library: Library
    told: Lessons
    clock: Callable[[], float]
    watch: Watch | None
    team: Team

    @property
    def folder(self) -> Path:
        """Return where it is kept while it is under way."""
        return self.library.orders / self.order.name


@dataclass(frozen=True, slots=True)
class _Learned:
    """What came of one."""

    training: Training
    tokenizer: PreTrainedTokenizerBase
    done: Studied


def distil(
    config: Config,
    order: Order,
    library: Library,
    *,
    clock: Callable[[], float],
    watch: Watch | None = None,
    team: Team = ALONE,
) -> Report:
    """Learn what was ordered, keep the adapter that comes of it, and return the report.

    Args:
        config: how to learn; the order says what.
        order: may have been begun before.
        library: what the order names.
        clock: seconds, from any origin.
        watch: told of every step.
        team: the processes that do this together; the first one writes.

    Raises:
        UnknownIdError: something that the order names was forgotten since.
        UserError: it cannot be learned so, and someone can mend that.
    """
    found = read_report(library.adapters, order.name)
    if found is not None:
        return found
    limits = _limits(order, library)
    job = _Job(
        config=config.model_copy(update={"distill": limits}),
        order=order,
        library=library,
        told=lessons(limits, order, library),
        clock=clock,
        watch=watch,
        team=team,
    )
    try:
        learned = _learned(job)
    except UnlikeError:  # another version of this program began it: from the beginning, then
        _forget(job)
        learned = _learned(job)
    report = _report(job, learned.done)
    if team.rank == 0:
        _keep(job, learned, report)
    return report


def _limits(order: Order, library: Library) -> Distill:
    """Return how to learn, as the order says."""
    try:
        return reread(Distill, order.settings)
    except StaleSettingsError as error:
        raise StaleOrderError(order, library, error) from None


def _learned(job: _Job) -> _Learned:
    """Return what was trained as the order says, from its last checkpoint where there is one."""
    config, order, library, limits = job.config, job.order, job.library, job.config.distill
    acting = find_acting(config, Named(LOCAL, order.base, order.parent or BASE))
    training, tokenizer = open_training(
        config, acting, steps=len(job.told.steps), fresh=job.told.fresh, team=job.team
    )
    done = study(
        training,
        open_encoder(config, library.environment, acting),
        job.told.steps,
        preset_of(order.preset),
        clock=job.clock,
        watch=job.watch,
        checkpoints=job.folder / CHECKPOINTS,
        canary=canary(config, order, library, training, tokenizer),
        rails=Rails(every=limits.every),
        bounds=Bounds(seconds=_seconds(limits), tokens=limits.tokens),
    )
    return _Learned(training, tokenizer, done)


def _forget(job: _Job) -> None:
    """Remove what was begun."""
    if job.team.rank == 0:
        shutil.rmtree(job.folder)
    job.team.told(None)  # all wait until it is gone


def _keep(job: _Job, learned: _Learned, report: Report) -> None:
    """Keep the report, and the adapter if it is any good; nothing is under way any more."""
    write_report(job.library, report)
    if report.kept:
        lineage = _lineage(job, learned.done)
        job.library.adapters.add(learned.training.student, learned.tokenizer, lineage)
    shutil.rmtree(job.folder, ignore_errors=True)


def open_encoder(config: Config, environment: Environment, acting: Acting) -> Encoder:
    """Return what reads episodes for a model, without loading the model."""
    base = _base(config, acting)
    told = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return Encoder(
        Renderer(load_tokenizer(acting.folder or base)),
        environment.instructions,
        config.distill.length,
        told["vocab_size"],
    )


def open_training(
    config: Config, acting: Acting, *, steps: int = 0, fresh: int = 0, team: Team = ALONE
) -> tuple[Training, PreTrainedTokenizerBase]:
    """Return a model about to learn, and its tokenizer.

    Args:
        config: how to learn.
        acting: who goes on learning.
        steps: in which the learning rate falls to nothing; 0: it stays.
        fresh: of these, over which it rises first.
        team: the processes that train it.
    """
    limits, base, device = config.distill, _base(config, acting), best_device()
    named = config.policy.dtype
    student = load_student(
        acting.folder,
        base,
        limits.trained,
        dtype=best_dtype(device) if named == "auto" else getattr(torch, named),
        device=device,
        rank=limits.rank,
        checkpointing=limits.checkpointing,
    )
    return Training(student, _pace(limits, steps, fresh), team), load_tokenizer(
        acting.folder or base
    )


def _pace(limits: Distill, steps: int, fresh: int) -> Pace:
    """Return how the optimizer moves: boldly where it imitates, carefully where it compares."""
    practises = preset_of(limits.preset).practises
    rate = limits.rate or (RATES if practises else COLD_RATES)[limits.trained]
    return Pace(
        rate=rate,
        warmup=max(WARMUP, fresh),
        until=steps + 1 if steps else 0,
        part_tokens=limits.part_tokens,
    )


def canary(
    config: Config,
    order: Order,
    library: Library,
    training: Training,
    tokenizer: PreTrainedTokenizerBase,
) -> Callable[[], float] | None:
    """Return what plays mastered tasks with the weights as they are, or None without any."""
    if not order.canaries:
        return None
    world = library.environment
    settings = LocalSettings(lanes=len(order.canaries), temperature=0.0)
    policy = LocalPolicy(order.name, training.student.model, tokenizer, settings)
    attempts = [
        Attempt(id=f"canary-{task}", task=world.task(task), seed=derive(order.seed, task))
        for task in order.canaries
    ]

    def look() -> float:
        policy.pull()
        solved: list[bool] = []
        with TemporaryDirectory() as scratch:
            rig = Rig(
                environment=world,
                policy=policy,
                store=library.store,
                limits=Limits(**config.limits.model_dump()),
                width=settings.lanes,
                checkpoints=Path(scratch),
                clock=now,
            )
            keep: Callable[[Episode], None] = lambda each: solved.append(each.solved)  # noqa: E731
            asyncio.run(play("canaries", attempts, rig, keep=keep))
        return sum(solved) / len(solved)

    return look


def _base(config: Config, acting: Acting) -> Path:
    return resolve(acting.model, config.cache)


def _seconds(limits: Distill) -> float | None:
    """Return how long it may take, by the clock and by the price."""
    bounds = [limits.minutes * 60] if limits.minutes is not None else []
    if limits.money is not None and limits.per_hour:
        bounds.append(limits.money / limits.per_hour * HOUR_S)
    return min(bounds) if bounds else None


def _report(job: _Job, done: Studied) -> Report:
    order, limits = job.order, job.config.distill
    good = done.outcome.alarm is None or done.outcome.steps > limits.every
    return Report(
        name=order.name,
        base=order.base,
        parent=order.parent,
        preset=order.preset,
        attempts=len(order.attempts),
        critiques=len(order.critiques),
        demonstrations=len(order.demonstrations),
        walkthroughs=len(order.walkthroughs),
        steps=done.outcome.steps,
        samples=done.samples,
        tokens=done.tokens,
        dropped={reason.value: many for reason, many in done.dropped.items() if many},
        remarks=job.told.remarks,
        alarm=done.outcome.alarm,
        spent=done.spent,
        kept=good and done.samples > 0,
        seconds=done.seconds,
        money=done.seconds / HOUR_S * limits.per_hour,
    )


def _lineage(job: _Job, done: Studied) -> Lineage:
    order, config = job.order, job.config
    plans = [job.told.shown.get(id) for id in done.episodes]
    episodes: Iterable[str] = chain.from_iterable(
        (id,) if plan is None else plan.episodes
        for id, plan in zip(done.episodes, plans, strict=True)
    )
    tasks = (plan.task.id for plan in plans if plan is not None and not plan.episodes)
    return Lineage(
        name=order.name,
        base=order.base,
        parent=order.parent,
        trained=config.distill.trained,
        objective=order.preset,
        episodes=tuple(dict.fromkeys(episodes)),
        walkthroughs=tuple(dict.fromkeys(tasks)),
        seed=order.seed,
        made=order.made,
        digest=weights_digest(resolve(order.base, config.cache)),
    )
