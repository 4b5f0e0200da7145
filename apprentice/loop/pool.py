"""What a round learns from: all attempts of who learns, of the rounds before it as well.

What one round gains is small, and an exam of some dozens of pairs proves large gains only. Did each
round learn from its own attempts alone, it would begin where the last one did and none might ever
be promoted. As long as nobody is, the one who practises is the same, so what he did in the rounds
before is as much his own as what he did in this one, and a candidate is made of all of it.

Nothing of this is chosen by how exams went. To go on from the candidate that looked best would be
to climb on the held-out tasks, for a lucky one and what is made of it share their luck there.
"""

from collections.abc import Iterator

from apprentice.loop.reports import Record, record_of
from apprentice.loop.site import Site


def pooled(site: Site, record: Record) -> list[str]:
    """Return the ids of the attempts to learn from, those of the newest round last."""
    assert record.start is not None
    assert record.recall is not None
    before = [id for each in _before(site) for id in _made_by(record.start.student, each)]
    return [*before, *(each.id for each in record.recall.attempts)]


def _before(site: Site) -> Iterator[Record]:
    for round in site.rounds.all():
        if round.number < site.round.number:
            yield record_of(site.rounds.reports(round.id))


def _made_by(student: str, record: Record) -> list[str]:
    """Return the attempts of a round if this policy made them."""
    if record.start is None or record.recall is None:
        return []
    who = record.recall.policy or record.start.student
    return [each.id for each in record.recall.attempts] if who == student else []
