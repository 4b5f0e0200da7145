"""Within a round, candidates of memory go on proving themselves, a few pairs at a time."""

import asyncio
import time
from collections.abc import Sequence

from apprentice.build import make_bank, make_rig, make_trials
from apprentice.gate.proving import Court, Ruling, proves
from apprentice.gate.proving import prove as judge
from apprentice.loop.reports import Proved, Record
from apprentice.loop.site import Site
from apprentice.terminal.terminal import Tally, progress
from memory.bank.bank import Bank
from memory.knowledge.items import Demonstration, Item, Standing
from memory.proof.proof import Outcome
from memory.proof.trials import Trials


def prove(site: Site, record: Record) -> Proved:
    """Let some candidates show that they help who practises; who does is used from now on."""
    assert record.start is not None
    config = site.config
    learn, memory = config.learn, config.memory
    if not proves(memory) or not learn.pairs or not _waiting(site):
        return Proved(words={}, active=())
    actor = config.policy.model_copy(update={"use": record.start.student})
    acting = config.model_copy(update={"policy": actor})
    with make_rig(acting) as rig, make_trials(config) as trials:
        court = Court(
            rig=rig,
            trials=trials,
            seed=site.round.seed,
            set_aside=memory.set_aside,
            pairs=learn.pairs,
        )
        chosen = candidates(court.bank, trials, config.environment.name, learn.candidates)
        rulings = asyncio.run(_judged(chosen, court))
    return Proved(
        words={each.item: each.words for each in rulings},
        active=tuple(each.item for each in rulings if _promoted(each)),
    )


def candidates(bank: Bank, trials: Trials, environment: str, most: int | None = None) -> list[Item]:
    """Return whom to judge: whoever is on trial, then advice, which is rare, then the rest.

    All that wait, unless it is said how many at most.
    """
    waiting = bank.items(standing=Standing.CANDIDATE, environment=environment)
    going = {trial.item for trial in trials.going()}
    waiting.sort(key=lambda item: (item.id not in going, isinstance(item, Demonstration)))
    return waiting[:most]


def _waiting(site: Site) -> bool:
    with make_bank(site.config) as bank:
        name = site.config.environment.name
        return bool(bank.items(standing=Standing.CANDIDATE, environment=name))


async def _judged(chosen: Sequence[Item], court: Court) -> tuple[Ruling, ...]:
    try:
        with progress(Tally(2 * (court.pairs or 0) * len(chosen), 0, time.monotonic)) as shown:
            return await judge(chosen, court, shown)
    finally:
        await court.rig.policy.close()


def _promoted(ruling: Ruling) -> bool:
    return ruling.verdict is not None and ruling.verdict.outcome is Outcome.PROMOTE
