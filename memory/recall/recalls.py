"""What was recalled for whom, and how it ended: read from the log of recalls and the episodes."""

from dataclasses import fields
from typing import TYPE_CHECKING

from sqlalchemy import Connection, case, func, select

from environments.episode import Ending, Split
from memory.knowledge.items import Recalled
from memory.store.schema import EPISODE, RECALL

if TYPE_CHECKING:
    from memory.proof.credit import Use

_COUNTED = (EPISODE.c.split == Split.TRAIN, EPISODE.c.ending != Ending.BROKEN)
_COLUMNS = [RECALL.c[field.name] for field in fields(Recalled)]


def recalled(connection: Connection, episode: str) -> list[Recalled]:
    """Return what was recalled for an episode, by item."""
    query = select(*_COLUMNS).where(RECALL.c.episode == episode).order_by(RECALL.c.item)
    return [Recalled(**found) for found in connection.execute(query).mappings()]


def outcomes(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return (solved, shown) by item: the episodes in which it was shown, and those solved.

    Counted as `uses` counts: in stored, unbroken episodes of train tasks.
    """
    solved = func.sum(case((EPISODE.c.ending == Ending.SOLVED, 1), else_=0))
    query = (
        select(RECALL.c.item, solved, func.count())
        .join(EPISODE, EPISODE.c.id == RECALL.c.episode)
        .where(RECALL.c.shown, *_COUNTED)
        .group_by(RECALL.c.item)
    )
    return {item: (solved, shown) for item, solved, shown in connection.execute(query)}


def uses(connection: Connection, item: str) -> list["Use"]:
    """Return the uses of an item in stored, unbroken episodes of train tasks, oldest first."""
    from memory.proof.credit import Tag, Use  # scipy: 0.5 s, which a listing need not pay

    query = (
        select(RECALL, EPISODE.c.kind, EPISODE.c.ending)
        .join(EPISODE, EPISODE.c.id == RECALL.c.episode)
        .where(RECALL.c.item == item)
        .where(*_COUNTED)
        .order_by(RECALL.c.at, RECALL.c.episode)
    )
    return [
        Use(
            item=item,
            episode=found["episode"],
            kind=found["kind"],
            shown=found["shown"],
            propensity=found["propensity"],
            solved=found["ending"] is Ending.SOLVED,
            tag=found["tag"] and Tag(found["tag"]),
        )
        for found in connection.execute(query).mappings()
    ]
