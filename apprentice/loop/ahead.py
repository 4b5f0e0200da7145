"""Practice of the rounds to come while this one trains: a machine need not wait for its learner.

Who practises ahead is the student of now, so by the time it is learned from, its attempts are some
trainings old: at most `oldest` of them, or they are left out and counted. What is practised ahead
is planned before the training begins, and the stage ends when both have ended; so what comes of a
round does not depend on which was faster, nor on a kill.

A thread, not a process: it ends with whoever was killed, so nobody makes the same attempts twice,
and both spend their time in torch, or waiting for a server, where they do not hold each other up.
"""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeAlias

from rich.text import Text

from apprentice.build import make_library, make_rig, now
from apprentice.distilling.staleness import ages, fresh, oldest
from apprentice.findings.sample import name_of
from apprentice.loop.practice import make, missing, planned, practising, unbriefed
from apprentice.loop.reports import Asked, Recalled, record_of, to_json
from apprentice.loop.site import Site
from apprentice.runs.runs import Rig
from apprentice.settings.acting import Named, find_acting
from apprentice.settings.config import Config
from apprentice.terminal.terminal import aside
from distill.sequences.encode import Reason

AHEAD = "ahead"
"""The stage of a round under which its plan is kept before it begins."""

Left: TypeAlias = tuple[Site, list[Asked]]


def plan_of(site: Site) -> Recalled | None:
    """Return what was planned ahead for a round; None: nothing was."""
    return record_of(site.rounds.reports(site.round.id)).ahead


def usable(config: Config, plan: Recalled, student: str) -> bool:
    """Whether who learns now may learn from the attempts of a plan made ahead."""
    acting = find_acting(config, Named.parse(student))
    with make_library(config) as library:
        known = ages(library.adapters, acting)
    return fresh(name_of(plan.policy), known, oldest(config))


def planned_again(site: Site, student: str, stale: Recalled) -> Recalled:
    """Return a plan for the student of now, in place of one whose attempts are too old for it."""
    made = len(stale.attempts) - len(missing(site, stale))
    dropped = {Reason.STALE.value: made} if made else {}
    return replace(planned(site, student, student), dropped=dropped)


@contextmanager
def meanwhile(site: Site, student: str) -> Generator[None]:
    """Practise the rounds to come while the caller does something else, and until that is done.

    Args:
        site: of the round that trains; it says which rounds come.
        student: who practises, exactly.

    Raises:
        UserError: the practice met what someone can mend; what is finished of it is stored.
    """
    plans = [(each, _plan(each, student)) for each in site.following]
    left = [(each, missing(each, plan)) for each, plan in plans if plan.policy == student]
    many = sum(len(asked) for _, asked in left)
    if not many:
        yield
        return
    aside().print(Text(f"meanwhile {many} attempts are made for the next rounds"))
    with make_rig(unbriefed(practising(site.config, student))) as rig, beside(_all(left, rig)):
        yield


@contextmanager
def beside(work: Coroutine[Any, Any, None]) -> Generator[None]:
    """Let work go on in a thread; who leaves waits for it, or stops it where an error is why."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()

    async def carried_out() -> None:
        task = asyncio.create_task(work)
        begun.set_result((asyncio.get_running_loop(), task))
        await task

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        running = pool.submit(asyncio.run, carried_out())
        loop, task = begun.result()
        try:
            yield
            running.result()
        except BaseException:
            with suppress(RuntimeError):  # the loop is closed: it was over by itself
                loop.call_soon_threadsafe(task.cancel)
            raise


def _plan(site: Site, student: str) -> Recalled:
    """Return what a round that comes will practise: as it was planned before, or now."""
    plan = plan_of(site)
    if plan is None:
        plan = replace(planned(site, student), policy=student)
        site.rounds.keep(site.round.id, AHEAD, to_json(plan), now())
    return plan


async def _all(left: Sequence[Left], rig: Rig) -> None:
    try:
        for site, asked in left:
            await make(site, asked, rig)
    finally:
        await rig.policy.close()
