"""The stages of a round, each from what came before it to a report.

Each may be killed at any moment and asked again: episodes are known by their place in the plan, a
distillation by its order, a memory by what it was made of. So what was done is found done, and a
round that was killed a hundred times ends as one that was not.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from apprentice.build import make_bank, make_rig, make_store, now
from apprentice.distilling.staleness import oldest
from apprentice.loop.absorbing import learn_from
from apprentice.loop.ahead import meanwhile, plan_of, planned_again, usable
from apprentice.loop.curriculum import stratified
from apprentice.loop.distil import cold_start, distil_into
from apprentice.loop.judging import decided, unjudged
from apprentice.loop.pool import pooled
from apprentice.loop.practice import LOOKED_BACK, make, missing, planned, practising, unbriefed
from apprentice.loop.reports import (
    Absorbed,
    Asked,
    Distilled,
    Practised,
    Promoted,
    Recalled,
    Record,
    Settled,
    Started,
)
from apprentice.loop.site import Site
from apprentice.settings.acting import BASE, LEARNERS, Named, settled
from apprentice.settings.config import Config
from apprentice.terminal.terminal import Tally, progress
from environments.episode import Ending
from environments.errors import UserError
from memory.bank.bank import Bank
from memory.knowledge.items import Lesson, Skill, Standing, text_of
from memory.knowledge.items import Recalled as Use
from memory.proof.credit import Bar, retirement
from memory.store.records import EpisodeRow
from memory.store.store import Store


class NotALearnerError(UserError, ValueError):
    """A policy whose weights are not here to be trained."""

    def __init__(self, use: str) -> None:
        super().__init__(
            f"{use!r} cannot learn, its weights are elsewhere; use local[:MODEL] or vllm[:MODEL]"
        )


def start(site: Site, record: Record) -> Started:
    """Find out who acts, and make a first student of a bare model where something can be shown."""
    named = Named.parse(site.config.policy.use)
    if named.kind not in LEARNERS:
        raise NotALearnerError(site.config.policy.use)
    went_on = _decided(site, record.settle)
    incumbent = settled(site.config).policy.use
    if Named.parse(incumbent).adapter != BASE:
        return Started(incumbent=incumbent, student=incumbent, cold=None, settled=went_on)
    made = cold_start(site.config, incumbent)
    student = made.policy or incumbent
    return Started(incumbent=incumbent, student=student, cold=made.report, settled=went_on)


def recall(site: Site, record: Record) -> Recalled:
    """Choose what to practise, and what memory says before it; or find that chosen ahead."""
    assert record.start is not None
    student, ahead = record.start.student, plan_of(site)
    if ahead is None:
        return planned(site, student)
    if usable(site.config, ahead, student):
        return ahead
    return planned_again(site, student, ahead)


def practise(site: Site, record: Record) -> Practised:
    """Make the attempts that are not stored yet, and note what memory said before each."""
    assert record.start is not None
    assert record.recall is not None
    config = practising(site.config, record.recall.policy or record.start.student)
    asked, left = record.recall.attempts, missing(site, record.recall)
    clock = time.monotonic()
    with make_rig(unbriefed(config)) as rig, make_bank(config) as bank:
        with progress(Tally(len(asked), len(asked) - len(left), time.monotonic)) as shown:

            async def all_of_them() -> None:
                try:
                    await make(site, left, rig, shown)
                finally:
                    await rig.policy.close()

            asyncio.run(all_of_them())
        _note(bank, asked, site.practice)
        rows = _rows(rig.store, site, record.recall)
    return _practised(rows, time.monotonic() - clock)


def absorb(site: Site, record: Record) -> Absorbed:
    """Turn the attempts into memories, refine those there are, and retire what harms."""
    assert record.recall is not None
    with make_store(site.config) as store, make_bank(site.config) as bank:
        worth = worth_absorbing(site.config, _rows(store, site, record.recall))
        episodes = [store.get(each.id) for each in record.recall.attempts if each.id in worth]
        before = {item.id: item.version for item in bank.items()}
        learned = asyncio.run(learn_from(site.config, episodes, bank))
        new = [item for item in learned.items if before.get(item.id) != item.version]
        sorts: dict[str, list[str]] = {}
        for item in new:
            sorts.setdefault(type(item).__name__.lower(), []).append(item.id)
        return Absorbed(
            items={sort: tuple(ids) for sort, ids in sorted(sorts.items())},
            said=tuple(_line(item) for item in new if isinstance(item, Lesson | Skill)),
            critiques=len(learned.episodes.critiques),
            skipped={why.value: many for why, many in learned.episodes.skipped.items() if many},
            retired=retire_harmful(bank),
            deeds=dict(sorted(Counter(_deed(bank, item.id) for item in new).items())),
        )


def distil(site: Site, record: Record) -> Distilled:
    """Train on the attempts since the last promotion, and on demonstrations beside them."""
    assert record.start is not None
    assert record.recall is not None
    limits = site.config.distill.model_copy(update={"staleness": oldest(site.config)})
    config = site.config.model_copy(update={"distill": limits})
    beside = partial(meanwhile, site, record.start.student)
    made = distil_into(config, record.start.student, site.round.id, pooled(site, record), beside)
    candidate = made.policy or unjudged(site, record.start)
    return Distilled(candidate=candidate, report=made.report, dropped=made.dropped)


def worth_absorbing(config: Config, rows: Sequence[EpisodeRow]) -> set[str]:
    """Return the attempts to absorb: what was solved, and the failures that a critic has time for.

    SkillRL asks its teacher about failures of the validation split and files what comes of it as
    general; ours are of train tasks, and each lesson is of its type (arXiv:2602.08234).
    """
    solved = {row.id for row in rows if row.ending is Ending.SOLVED}
    failures = [row for row in rows if row.ending in (Ending.FAILED, Ending.TRUNCATED)]
    asked = 0 if config.critic.use == "off" else config.learn.critiques
    return solved | {row.id for row in stratified(failures, asked)}


def retire_harmful(bank: Bank) -> dict[str, str]:
    """Take the active memories out of use that harm or never help, and say why."""
    gone: dict[str, str] = {}
    for item in bank.items(standing=Standing.ACTIVE):
        why = retirement(bank.uses(item.id), Bar())
        if why is not None:
            bank.set_standing(item.id, Standing.RETIRED, why.value, now())
            gone[item.id] = why.value
    return gone


def _decided(site: Site, settled: Settled | None) -> Promoted | None:
    """Carry out what became of an exam that went on; None: none did."""
    if settled is None or settled.examined is None:
        return None
    return decided(site, (settled.incumbent, settled.candidate), settled.examined)


def _rows(store: Store, site: Site, recalled: Recalled) -> list[EpisodeRow]:
    """Return the rows of the planned attempts; not those of a plan that was too old."""
    asked = {each.id for each in recalled.attempts}
    return [row for row in store.rows(run=site.practice, limit=LOOKED_BACK) if row.id in asked]


def _note(bank: Bank, asked: Sequence[Asked], run: str) -> None:
    """Keep what was recalled, in the order of the plan; what was noted before a kill is."""
    for each in asked:
        if each.told and not bank.recalled(each.id):
            uses = [
                Use(
                    item=told.item,
                    version=told.version,
                    episode=each.id,
                    run=run,
                    shown=told.shown,
                    propensity=told.propensity,
                    at=now(),
                )
                for told in each.told
            ]
            bank.log_uses(uses)


def _practised(rows: Sequence[EpisodeRow], seconds: float) -> Practised:
    kinds: dict[str, tuple[int, int]] = {}
    for row in rows:
        solved, made = kinds.get(row.kind, (0, 0))
        kinds[row.kind] = (solved + (row.ending is Ending.SOLVED), made + 1)
    return Practised(
        solved=sum(solved for solved, _ in kinds.values()),
        kinds=dict(sorted(kinds.items())),
        mean_steps=sum(row.steps for row in rows) / max(1, len(rows)),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        seconds=seconds,
    )


def _deed(bank: Bank, id: str) -> str:
    """Return how an item came to its words or sources of now."""
    return [entry.deed.value for entry in bank.history(id) if entry.content is not None][-1]


def _line(item: Lesson | Skill) -> str:
    words = " ".join(text_of(item).split())
    return f"{item.id} v{item.version} {item.kind or 'general'}: {words}"
