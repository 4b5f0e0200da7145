"""Distillation as a job: chosen, learned, reported, one at a time, now or on a schedule.

A job that was killed is finished by the next one before anything new is begun. One that finds
nothing worth learning says so in a line and is no failure, so a schedule may call it often.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, cast

from apprentice.settings.acting import LEARNERS, LOCAL, VLLM, Named, find_acting
from apprentice.settings.orders import (
    STEM,
    Library,
    Order,
    Report,
    ordered,
    read_report,
    write_order,
    write_report,
)
from distill.models.trained import Trained
from distill.training.team import ALONE, Team
from environments.errors import UserError
from memory.index.claim import Claim, Owner, owner_of
from memory.store.errors import UnknownIdError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from apprentice.distilling.choosing import Offer
    from apprentice.settings.config import Config
    from distill.sequences.encode import Encoder
    from distill.training.train import Watch

CLAIM = "running"
"""The folder beside the orders that says who is at it."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
"""Seconds of what an interval may be given in."""

EXIT_BUSY = 75
"""`EX_TEMPFAIL` of sysexits.h: try again later."""

TOKENS_PER_S = 300.0
"""Learned on two cores with bfloat16, where no job has told yet (bench/train)."""


class BusyError(UserError, RuntimeError):
    """Another process is distilling."""

    code = EXIT_BUSY

    def __init__(self, owner: Owner | None) -> None:
        who = "another process"
        if owner is not None:
            since = f"{owner.since.astimezone():%Y-%m-%d %H:%M}"
            who = f"process {owner.pid} on {owner.host} since {since}"
        super().__init__(f"distillation is under way in {who}; wait for it, or end that process")


class ScheduleError(UserError, ValueError):
    """A time that cannot be understood."""

    def __init__(self, given: str, wanted: str) -> None:
        super().__init__(f"cannot understand {given!r} as a schedule: {wanted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one look at the store came to."""

    report: Report | None  # None: nothing was worth learning
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])  # attempts, by reason
    resumed: bool = False  # it was begun before, and killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a job would do now."""

    order: Order | None  # None: nothing is worth learning
    resumed: bool  # it was begun before
    dropped: Mapping[str, int]
    tokens: int
    minutes: float


@contextmanager
def alone(folder: Path, at: datetime) -> Generator[None]:
    """Hold the only place where training goes on.

    Args:
        folder: of the orders.
        at: the time.

    Raises:
        BusyError: another process holds it.
    """
    me = Owner(pid=os.getpid(), host=platform.node(), since=at)
    claim = Claim.stake(folder / CLAIM, me)
    if claim is None:
        raise BusyError(owner_of(folder / CLAIM))
    try:
        yield
    finally:
        claim.release()


def once(
    config: Config,
    library: Library,
    *,
    clock: Callable[[], datetime],
    watch: Callable[[str], AbstractContextManager[Watch]],
    team: Team = ALONE,
) -> Job:
    """Learn what is worth it, or finish what was begun; whoever calls this holds the claim.

    Args:
        config: the settings.
        library: what there is.
        clock: the time now, with its zone.
        watch: given the name of what is learned, opens who is told of every step.
        team: the processes that train, of which this is the first; the others `follow`.
    """
    learn = partial(_learn, config, library, watch, team)
    done = _finished(config, library, learn) or _begun(config, library, learn, clock())
    team.told(None)  # that was all
    if config.distill.exam and done.report is not None and done.report.kept:
        return replace(done, report=examined(config, library, done.report))
    return done


def follow(config: Config, library: Library, team: Team) -> None:
    """Train whatever the first process of a team trains, until it says that that was all."""
    from apprentice.distilling.distilling import distil

    while (order := team.told(cast("Order | None", None))) is not None:
        with suppress(UnknownIdError):  # the first one takes such an order back
            distil(config, order, library, clock=monotonic, team=team)


def examined(config: Config, library: Library, report: Report) -> Report:
    """Hold a candidate against who acts, let it act if it passes, and return the report of both."""
    from apprentice.build import make_serving, now, store_place
    from apprentice.gate.promises import left_open, write_promise
    from apprentice.loop.judging import promise_of, trial
    from memory.proof.proof import Outcome
    from memory.proof.rounds import Rounds

    specs = (_incumbent(config, report), str(Named(_kind(config), report.base, report.name)))
    actor = config.policy.model_copy(update={"use": specs[0]})
    acting = config.model_copy(update={"policy": actor})
    with make_serving(acting) as config, Rounds.open(store_place(config)) as rounds:
        level = rounds.level(report.name, now(), config.gate.false_share)
        before = left_open(config, report.name, specs[0])
        gated = asyncio.run(trial(config, specs, level, begun=before.begun if before else None))
        promise = promise_of(config, specs, gated, level)
        write_promise(config, promise)
        rounds.decide(report.name, promise.outcome, now())
    if promise.outcome is Outcome.PROMOTE and library.adapters.current() != report.name:
        library.adapters.promote(report.name)
    decided = None if promise.outcome is Outcome.UNDECIDED else promise.outcome is Outcome.PROMOTE
    report = replace(report, adopted=decided, verdict=promise.sentence)
    write_report(library, report)
    return report


def forecast(config: Config, library: Library, at: datetime) -> Forecast:
    """Return what a job would do, and about how long it would take; nothing is written."""
    begun = unfinished(library)
    if begun is not None:
        return Forecast(order=begun, resumed=True, dropped={}, tokens=0, minutes=0.0)
    offer = offered(config, library, at)
    if offer.order is None:
        return Forecast(order=None, resumed=False, dropped=_counts(offer), tokens=0, minutes=0.0)
    from apprentice.distilling.lessons import lessons
    from distill.sequences.collate import fed, rows_of

    encoder = _encoder(config, library)
    steps = lessons(config.distill, offer.order, library).steps
    tokens = sum(fed(row.encoded) for step in steps for row in rows_of(encoder, step)[0])
    tokens = min(tokens, config.distill.tokens or tokens)
    minutes = tokens / _speed(library) / 60
    bound = config.distill.minutes
    return Forecast(
        order=offer.order,
        resumed=False,
        dropped=_counts(offer),
        tokens=tokens,
        minutes=minutes if bound is None else min(minutes, bound),
    )


def unfinished(library: Library) -> Order | None:
    """Return what a job began and did not end: orders that others wrote are theirs to finish."""
    return next(
        (
            order
            for order in ordered(library.orders)
            if order.name.startswith(STEM) and read_report(library.adapters, order.name) is None
        ),
        None,
    )


def offered(config: Config, library: Library, at: datetime) -> Offer:
    """Return what is worth learning now, for who acts or would act by default."""
    from apprentice.distilling.choosing import place_order

    encoder = _encoder(config, library)
    return place_order(config, library, find_acting(config, learner(config)), encoder, made=at)


def discard(library: Library, order: Order) -> None:
    """Take an order back, and what was trained for it so far."""
    (library.orders / f"{order.name}.json").unlink()
    shutil.rmtree(library.orders / order.name, ignore_errors=True)


def learner(config: Config) -> Named:
    """Return whose weights learn: those of the policy, unless it acts by other means."""
    named = Named.parse(config.policy.use)
    return replace(named, kind=LOCAL) if named.kind in LEARNERS else Named(LOCAL)


def every(interval: str) -> Callable[[datetime], datetime]:
    """Return what gives the next time after one, such as for "6h".

    Raises:
        ScheduleError: it is no interval.
    """
    found = re.fullmatch(r"(\d+)([smhd])", interval.strip())
    if found is None or not int(found[1]):
        raise ScheduleError(interval, "give a number and a unit, such as 30m, 6h or 1d")
    pause = timedelta(seconds=int(found[1]) * UNITS[found[2]])
    return lambda last: last + pause


def cron(expression: str) -> Callable[[datetime], datetime]:
    """Return what gives the next time after one by a cron expression, in local time.

    Raises:
        ScheduleError: it is no such expression.
    """
    from croniter import croniter

    if not croniter.is_valid(expression):
        raise ScheduleError(expression, "give five fields, such as '0 3 * * *' for 3 at night")
    return lambda last: croniter(expression, last.astimezone()).get_next(datetime)


def _finished(config: Config, library: Library, learn: Callable[[Order], Report]) -> Job | None:
    """Finish what was begun and killed, or return what waits for its exam; None: nothing."""
    begun = unfinished(library)
    if begun is not None:
        try:
            return Job(report=learn(begun), resumed=True)
        except UnknownIdError:  # what it was to learn from was forgotten since
            discard(library, begun)
    for order in ordered(library.orders) if config.distill.exam else ():
        report = read_report(library.adapters, order.name)
        if report is not None and order.name.startswith(STEM) and _waits(config, report):
            return Job(report=report, resumed=True)
    return None


def _waits(config: Config, report: Report) -> bool:
    """Whether a candidate waits for its exam, or for more pairs of it."""
    if not report.verdict:
        return report.kept
    from apprentice.gate.promises import left_open

    before = left_open(config, report.name, _incumbent(config, report))
    return report.adopted is None and before is not None


def _incumbent(config: Config, report: Report) -> str:
    """Return against whom a candidate is held."""
    return find_acting(config, Named(_kind(config), report.base)).use


def _kind(config: Config) -> str:
    """Return where an exam is sat: where the policy acts, if what is trained can act there."""
    kind = Named.parse(config.policy.use).kind
    return kind if kind == VLLM and config.distill.trained is Trained.LORA else LOCAL


def _begun(config: Config, library: Library, learn: Callable[[Order], Report], at: datetime) -> Job:
    offer = offered(config, library, at)
    if offer.order is None:
        return Job(report=None, dropped=_counts(offer))
    write_order(library.orders, offer.order)
    return Job(report=learn(offer.order), dropped=_counts(offer))


def _learn(
    config: Config,
    library: Library,
    watch: Callable[[str], AbstractContextManager[Watch]],
    team: Team,
    order: Order,
) -> Report:
    from apprentice.distilling.distilling import distil

    team.told(order)
    with watch(order.name) as watching:
        return distil(config, order, library, clock=monotonic, watch=watching, team=team)


def _encoder(config: Config, library: Library) -> Encoder:
    from apprentice.distilling.distilling import open_encoder

    return open_encoder(config, library.environment, find_acting(config, learner(config)))


def _speed(library: Library) -> float:
    """Return tokens a second, as the last job told that learned for more than a moment."""
    reports = (read_report(library.adapters, name) for name in library.adapters.names())
    told = [each.tokens_per_s for each in reports if each is not None and each.seconds > 1]
    return told[-1] if told else TOKENS_PER_S


def _counts(offer: Offer) -> dict[str, int]:
    return {reason.value: many for reason, many in offer.dropped.items() if many}
