"""`apprentice distill`: learn from what was kept, once or on a schedule, and report it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from rich.text import Text

from apprentice.build import make_home, make_library, make_team, now
from apprentice.loop.jobs import Forecast, Job, alone, follow, forecast, once
from apprentice.settings.config import Config
from apprentice.settings.orders import ORDERS, Report
from apprentice.terminal.terminal import aside, duration, inert, out, say_json, table
from environments.errors import UserError

LOOKED_UP_S = 60.0
"""Seconds between two looks at the clock while nothing is due: it may be set, or have slept."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to look again."""

    after: Callable[[datetime], datetime]  # from the time of one job to that of the next
    at_once: bool  # whether the first one is due now


class StoppedError(UserError, RuntimeError):
    """A job was interrupted."""

    code = 130

    def __init__(self) -> None:
        super().__init__("interrupted; what was begun goes on with: apprentice distill --once")


def distill(config: Config, *, as_json: bool) -> None:
    """Learn what is worth it, and say what came of it; one of several processes only helps."""
    from apprentice.terminal.watching import watched

    home, team = make_home(config), make_team()
    try:
        if team.rank:
            with make_library(config) as library:
                follow(config, library, team)
            return
        with alone(home / ORDERS, now()), make_library(config) as library:
            job = once(config, library, clock=now, watch=partial(watched, config), team=team)
    except KeyboardInterrupt:
        raise StoppedError from None
    show(job, as_json=as_json)


def scheduled(
    config: Config,
    schedule: Schedule,
    *,
    as_json: bool,
    clock: Callable[[], datetime] = now,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Learn again and again, until somebody ends it; what goes wrong is told and tried again."""
    due = clock() if schedule.at_once else schedule.after(clock())
    while True:
        _wait(due, clock, sleep)
        try:
            distill(config, as_json=as_json)
        except StoppedError:
            raise
        except UserError as error:
            aside().print(Text(inert(f"apprentice: {error}")))
        due = max(schedule.after(due), clock())
        aside().print(Text(f"next: {due.astimezone():%Y-%m-%d %H:%M:%S}"))


def dry_run(config: Config, *, as_json: bool) -> None:
    """Say what a job would do now."""
    with make_library(config) as library:
        coming = forecast(config, library, now())
    if as_json:
        order = coming.order.to_json() if coming.order else None
        say_json({
            "order": order, "resumed": coming.resumed, "dropped": coming.dropped,
            "tokens": coming.tokens, "minutes": coming.minutes,
        })  # fmt: skip
        return
    _foretell(coming)


def show(job: Job, *, as_json: bool) -> None:
    """Print what a job came to."""
    if as_json:
        report = job.report.to_json() if job.report else None
        say_json({"report": report, "passed_over": job.dropped, "resumed": job.resumed})
        return
    console = out()
    if job.report is None:
        console.print(Text(inert(_nothing(job.dropped))), soft_wrap=True)
        return
    report = job.report
    console.print(table(HEADINGS, [_cells(report)]))
    for reason, many in (*job.dropped.items(), *report.dropped.items()):
        console.print(Text(inert(f"  {many:>5}  {reason}"), style="dim"))
    for remark in report.remarks:
        console.print(Text(inert(f"  {remark}"), style="dim"))
    console.print(Text(inert(_outcome(report))), soft_wrap=True)


HEADINGS = ("adapter", "from", "preset", "attempts", "shown", "steps", "tokens", "time", "cost")


def _cells(report: Report) -> tuple[object, ...]:
    return (
        report.name,
        report.parent or report.base,
        report.preset,
        report.attempts,
        report.demonstrations + report.walkthroughs,
        report.steps,
        f"{report.tokens:,}",
        duration(report.seconds),
        f"{report.money:.2f}" if report.money else "-",
    )


def _outcome(report: Report) -> str:
    if report.alarm is not None:
        ended = f"stopped: {report.alarm}"
        if not report.kept:
            return f"{ended}; nothing good came of it, and no adapter was kept"
    else:
        ended = f"ended by its budget of {report.spent}" if report.spent else "all was learned"
    if not report.kept:
        return f"{ended}; nothing of it could be learned from, and no adapter was kept"
    if report.adopted:
        return f"{ended}; {report.name} acts from now on: {report.verdict}"
    if report.adopted is not None:
        return f"{ended}; {report.name} was not promoted: {report.verdict}"
    if report.verdict:
        return f"{ended}; {report.name} is a candidate: {report.verdict}"
    ours, theirs = f"local@{report.name}", f"local@{report.parent or 'base'}"
    return (
        f"{ended}; {report.name} is a candidate and does not act yet; compare it: "
        f"apprentice exam --a {theirs} --b {ours}; let it act: "
        f"apprentice adapters promote {report.name} --unproven"
    )


def _nothing(dropped: Mapping[str, int]) -> str:
    looked = ", ".join(f"{many} x {reason}" for reason, many in dropped.items())
    told = f" ({looked})" if looked else ""
    return (
        f"nothing worth learning{told}; attempts at the same task that end differently are, "
        f"and so are critiques"
    )


def _foretell(coming: Forecast) -> None:
    console = out()
    order = coming.order
    if order is None:
        console.print(Text(inert(_nothing(coming.dropped))), soft_wrap=True)
        return
    if coming.resumed:
        console.print(Text(f"{order.name} was begun and would be finished first"))
        return
    shown = len(order.demonstrations), len(order.walkthroughs)
    told = (
        f"{order.name} would be made from {order.parent or order.base} with {order.preset}:",
        f"  {len(order.attempts)} attempts, {len(order.critiques)} of them criticized",
        f"  {shown[0]} demonstrations and {shown[1]} walkthroughs to replay",
        f"  {coming.tokens:,} tokens, about {duration(coming.minutes * 60)}",
    )
    if order.walks:
        told = (*told, f"  what {len(order.walks)} random walks turn out to have solved")
    for line in told:
        console.print(Text(inert(line)))
    for reason, many in coming.dropped.items():
        console.print(Text(inert(f"  {many:>5}  {reason}"), style="dim"))


def _wait(due: datetime, clock: Callable[[], datetime], sleep: Callable[[float], object]) -> None:
    try:
        while (left := (due - clock()).total_seconds()) > 0:
            sleep(min(left, LOOKED_UP_S))
    except KeyboardInterrupt:
        raise StoppedError from None
