"""The end of a round: the candidate is examined, judged, and perhaps acts from now on."""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

from apprentice.audits.candidate import keep_calibration, keep_diversity, objections
from apprentice.build import make_bank, make_environment, now
from apprentice.gate.exam import MEMORY, Comparison, exam_tasks, leave, seated
from apprentice.gate.gate import Gated, bar_of, gate, range_veto
from apprentice.gate.internalise import Probed, probe
from apprentice.gate.promises import Promise, conditions, left_open, read_promise, write_promise
from apprentice.loop.reports import Examined, Promoted, Record, Settled, Started
from apprentice.loop.site import Site, practice_of
from apprentice.runs.runs import Watcher
from apprentice.settings.acting import ADAPTERS, LEARNERS, Named, settled
from apprentice.settings.config import Config
from apprentice.terminal.terminal import Tally, progress
from environments.episode import Split
from memory.knowledge.items import Standing
from memory.proof.proof import Outcome, sentence

NOTHING = Probed(idle=(), tokens_saved=0.0)
NOTHING_LEFT = Settled()


def settle(site: Site, _: Record) -> Settled:
    """Go on with the oldest exam that was left undecided and can go on; nothing is decided yet."""
    if Named.parse(site.config.policy.use).kind not in LEARNERS:
        return NOTHING_LEFT
    from distill.models.adapters import Adapters

    incumbent = settled(site.config).policy.use
    kept = Adapters(site.config.home / ADAPTERS).names()
    for adapter in site.rounds.undecided():
        found = left_open(site.config, adapter, incumbent) if adapter in kept else None
        if found is not None:
            candidate = str(replace(Named.parse(incumbent), adapter=adapter))
            practice = practice_of(found.round) if found.round else None
            examined = _examined(site, (incumbent, candidate), practice, found.begun)
            return Settled(incumbent=incumbent, candidate=candidate, examined=examined)
    return NOTHING_LEFT


def examine(site: Site, record: Record) -> Examined:
    """Compare the candidate with who acts, on tasks that nobody learns from."""
    assert record.start is not None
    assert record.distil is not None
    candidate = record.distil.candidate
    assert candidate is not None
    return _examined(site, (record.start.incumbent, candidate), site.practice)


def promote(site: Site, record: Record) -> Promoted:
    """Let the candidate act if it passed, and take out of the prompt what it has internalised."""
    assert record.start is not None
    if record.examine is None:
        return Promoted(
            acting=record.start.incumbent, outcome=None, internalised=(), tokens_saved=0.0
        )
    assert record.distil is not None
    return decided(site, (record.start.incumbent, record.distil.candidate or ""), record.examine)


def decided(site: Site, specs: tuple[str, str], examined: Examined) -> Promoted:
    """Carry out what an exam said; whoever was killed in it does it again.

    Args:
        site: where.
        specs: the policies, exactly; the incumbent first.
        examined: the exam.
    """
    from distill.models.adapters import Adapters

    adapter = Named.parse(specs[1]).adapter
    before = read_promise(site.config, adapter)
    made_by = before.round if before else site.round.id
    promise = promise_of(site.config, specs, examined.gated, examined.level, made_by)
    write_promise(site.config, promise)
    site.rounds.decide(promise.adapter, promise.outcome, now())
    probed = NOTHING
    if promise.outcome is Outcome.PROMOTE:
        adapters = Adapters(site.config.home / ADAPTERS)
        if adapters.current() != promise.adapter:
            adapters.promote(promise.adapter)
        probed = _internalise(site, specs[1])
    return Promoted(
        acting=settled(site.config).policy.use,
        outcome=promise.outcome,
        internalised=probed.idle,
        tokens_saved=probed.tokens_saved,
    )


def unjudged(site: Site, started: Started) -> str | None:
    """Return the student if nobody examined it yet: it may act, though it learned nothing new."""
    if started.student == started.incumbent:
        return None
    judged = site.rounds.outcome(Named.parse(started.student).adapter)
    return started.student if judged is None else None


async def trial(
    config: Config,
    specs: tuple[str, str],
    level: float,
    practice: str | None = None,
    begun: Gated | None = None,
) -> Gated:
    """Let the incumbent and the candidate play, until the gate has decided or used its budget.

    What the audits say of the candidate is kept beside its adapter.

    Args:
        config: the settings.
        specs: the policies, exactly; the incumbent first.
        level: chance of promoting a candidate that is no better.
        practice: the run that the candidate learned from; None: all runs.
        begun: what was played of this trial before, where a budget ended it.
    """
    objected = objections(config, specs[1], practice)
    briefed = "" if config.memory.recall == "off" else MEMORY
    bar = bar_of(config)
    with seated(config, [spec + briefed for spec in specs]) as (incumbent, candidate):
        tasks = exam_tasks(incumbent.rig, Split.DEV, config.learn.exam)
        with progress(Tally(2 * len(tasks), 0, time.monotonic)) as shown:

            async def audit(_: Comparison) -> tuple[str, ...]:
                lost = await _range(config, specs, shown) if bar.tries else ()
                return (*objected, *lost)

            try:
                gated = await gate(
                    incumbent,
                    candidate,
                    tasks,
                    bar=bar,
                    level=level,
                    watcher=shown,
                    audit=audit,
                    begun=begun,
                )
            finally:
                await leave(incumbent, candidate)
    keep_calibration(config, specs[1], candidate.run, len(tasks))
    return gated


async def _range(config: Config, specs: tuple[str, str], watcher: Watcher) -> tuple[str, ...]:
    """Object if fewer tasks are solved when both try several times."""
    actor = config.policy.model_copy(update={"temperature": config.learn.temperature})
    tries = config.gate.tries
    with seated(config.model_copy(update={"policy": actor}), specs) as (incumbent, candidate):
        tasks = exam_tasks(incumbent.rig, Split.DEV, config.gate.ranged)
        try:
            before = await incumbent.sit(tasks, watcher, tries)
            after = await candidate.sit(tasks, watcher, tries)
        finally:
            await leave(incumbent, candidate)
    keep_diversity(config, specs, (incumbent.run, candidate.run), len(tasks), tries)
    return range_veto(before, after, tries)


def promise_of(
    config: Config, specs: tuple[str, str], gated: Gated, level: float, round: str = ""
) -> Promise:
    """Return what a trial says of the candidate; without a round it was held by itself."""
    verdict, sheet = gated.verdict, gated.anchors.joined(gated.compared).b
    return Promise(
        adapter=Named.parse(specs[1]).adapter,
        incumbent=specs[0],
        outcome=verdict.outcome,
        sentence=sentence(verdict),
        level=level,
        solved=sheet.solved,
        tasks=len(sheet.answers),
        low=sheet.interval.low,
        high=sheet.interval.high,
        conditions=conditions(config),
        round=round,
        judged=now(),
        begun=gated if verdict.outcome is Outcome.UNDECIDED else None,
    )


def _examined(
    site: Site, specs: tuple[str, str], practice: str | None, begun: Gated | None = None
) -> Examined:
    adapter = Named.parse(specs[1]).adapter
    level = site.rounds.level(adapter, now(), site.config.gate.false_share)
    gated = asyncio.run(trial(site.config, specs, level, practice, begun))
    return Examined(gated=gated, level=level)


def _internalise(site: Site, acting: str) -> Probed:
    """Retire the active memories that no longer help who acts now."""
    config = site.config
    with make_bank(config) as bank:
        off = config.memory.recall == "off" or not config.learn.probes
        if off or not bank.count(standing=Standing.ACTIVE):
            return NOTHING
    tasks = make_environment(config).tasks(Split.TRAIN)
    drawn = Random(site.seed("probes")).sample(tasks, min(config.learn.probes, len(tasks)))
    with _shown(2 * len(drawn)) as watcher:
        probed = asyncio.run(probe(config, acting, drawn, watcher))
    with make_bank(config) as bank:
        for item in bank.some(probed.idle):
            if item.standing is Standing.ACTIVE:
                why = f"internalised by {acting}"
                bank.set_standing(item.id, Standing.RETIRED, why, now())
    return probed


@contextmanager
def _shown(episodes: int) -> Generator[Watcher]:
    with progress(Tally(episodes, 0, time.monotonic)) as shown:
        yield shown
