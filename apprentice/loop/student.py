"""Who learns in a round while somebody acts: the incumbent, or a candidate that is not proven yet.

What one round gains is small, and an exam of some dozens of pairs proves large gains only. Were a
candidate dropped for want of proof, each round would begin where the last one did and none would
ever be promoted; so it goes on learning, and the next exam judges what came of both rounds.

Who goes on is not chosen by the measured gain. That would be to climb on the held-out tasks: a
lucky candidate and what is made of it share their luck, and the level of the test would no longer
be the chance of promoting what is no better. Here a candidate goes on unless it failed tasks that
are not counted in the test (anchors), an audit objected, or it is surely worse, which of equals
one in forty is; and not to have been proven is no sign of luck.
"""

from apprentice.loop.reports import Record, Started, record_of
from apprentice.loop.site import Site
from apprentice.settings.acting import ADAPTERS, Named
from memory.proof.proof import Reason, Verdict

DISCREDITED = (Reason.ANCHOR_LOST, Reason.VETOED)


def going_on(site: Site, incumbent: str) -> str | None:
    """Return the policy that the last round made and nobody objects to; None: there is none.

    Args:
        site: of the round that begins.
        incumbent: who acts, exactly; a candidate that was made for another is not gone on with.
    """
    before = [each for each in site.rounds.all() if each.number < site.round.number]
    if not before:
        return None
    last = record_of(site.rounds.reports(before[-1].id))
    if last.start is None or last.start.incumbent != incumbent:
        return None
    return _kept(site, _made(last))


def unjudged(site: Site, started: Started) -> str | None:
    """Return the student if nobody examined it yet: it may act, though it learned nothing new."""
    if started.student == started.incumbent:
        return None
    judged = site.rounds.outcome(Named.parse(started.student).adapter)
    return started.student if judged is None else None


def _made(last: Record) -> str | None:
    """Return what a round leaves to go on from; None: who acts."""
    assert last.start is not None
    if last.distil is None or last.distil.candidate is None:
        return last.start.student  # nothing was worth learning, or there was no time
    if last.examine is not None and objected(last.examine.gated.verdict):
        return None
    return last.distil.candidate


def objected(verdict: Verdict) -> bool:
    """Return whether an exam speaks against learning on from its candidate."""
    return verdict.reason in DISCREDITED or (verdict.pairs > 0 and verdict.interval.high < 0)


def _kept(site: Site, policy: str | None) -> str | None:
    """Return the policy if its adapter is still there."""
    from distill.models.adapters import Adapters

    if policy is None:
        return None
    kept = Adapters(site.config.home / ADAPTERS).names()
    return policy if Named.parse(policy).adapter in kept else None
