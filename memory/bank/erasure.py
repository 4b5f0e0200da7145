"""Forgetting an episode in the database: what was derived from it, and the words of all of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, or_, select, tuple_, update

from memory.bank.forgetting import Forgetting, forgetting
from memory.knowledge.items import Critique, Item
from memory.knowledge.journal import Deed, Entry
from memory.knowledge.wire import wrote_critique, wrote_item
from memory.store import fulltext, projection
from memory.store.errors import UnknownIdError
from memory.store.schema import BODY, CRITIQUE, EPISODE, ITEM, JOURNAL, SOURCE

PARTS = ("C", "D")
"""How the ids of critiques and demonstrations begin, of which lessons and skills are made."""


def derived(connection: Connection, episode: str) -> tuple[list[Critique], list[Item]]:
    """Return the critiques and items that name an episode as a source in their current version."""
    named = select(SOURCE.c.subject, SOURCE.c.version).where(SOURCE.c.episode == episode)
    return (
        projection.critiques(connection, [tuple_(CRITIQUE.c.id, CRITIQUE.c.version).in_(named)]),
        projection.items(connection, [tuple_(ITEM.c.id, ITEM.c.version).in_(named)]),
    )


def plan(connection: Connection, episode: str) -> Forgetting:
    """Return what is to be done to forget an episode.

    Raises:
        UnknownIdError: it is not stored.
    """
    if connection.scalar(select(EPISODE.c.id).where(EPISODE.c.id == episode)) is None:
        raise UnknownIdError(f"no episode has the id {episode!r}; give the whole id")
    critiques, items = derived(connection, episode)
    policies = _policies(connection, episode)
    first = forgetting(episode, critiques, items, policies)
    known = {item.id for item in items}
    items += [item for item in _naming(connection, first.removed) if item.id not in known]
    return forgetting(episode, critiques, items, policies)


def carry_out(
    connection: Connection, forgotten: Forgetting, *, at: datetime, by: str, why: str
) -> None:
    """Forget as planned."""
    episode = forgotten.episode
    projection.record(connection, _kept(connection, forgotten, by=by, why=why))
    _erase_content(connection, forgotten)
    gone = [
        *((Deed.REMOVED, id) for id in forgotten.removed),
        (Deed.FORGOTTEN, episode),
    ]
    projection.record(
        connection,
        [Entry(at=at, deed=deed, subject=id, by=by, why=why) for deed, id in gone],
    )
    fulltext.remove_episode(connection, episode)
    connection.execute(delete(BODY).where(BODY.c.episode == episode))
    connection.execute(delete(EPISODE).where(EPISODE.c.id == episode))


def _policies(connection: Connection, episode: str) -> dict[str, str]:
    """Return who acted in the episodes that share a memory with this one."""
    sharing = select(SOURCE.c.subject).where(SOURCE.c.episode == episode)
    query = (
        select(EPISODE.c.id, EPISODE.c.policy)
        .join(SOURCE, SOURCE.c.episode == EPISODE.c.id)
        .where(SOURCE.c.subject.in_(sharing))
    )
    return dict(connection.execute(query).all())


def _naming(connection: Connection, removed: Sequence[str]) -> list[Item]:
    """Return the items that may be made of something that is removed."""
    parts = [id for id in removed if id.startswith(PARTS)]
    if not parts:
        return []
    naming = or_(*(JOURNAL.c.content.contains(f'"{id}"', autoescape=True) for id in parts))
    return projection.items(connection, [naming])


def _erase_content(connection: Connection, forgotten: Forgetting) -> None:
    """Blank the entries that hold words of the episode, or of what rests on nothing else."""
    emptied = update(JOURNAL).values(content=None)
    naming = select(SOURCE.c.subject, SOURCE.c.version).where(SOURCE.c.episode == forgotten.episode)
    versions = tuple_(JOURNAL.c.subject, JOURNAL.c.version)
    connection.execute(emptied.where(versions.in_(naming)))
    connection.execute(
        emptied.where(JOURNAL.c.subject == bindparam("of")),
        [{"of": id} for id in (forgotten.episode, *forgotten.removed)],
    )


def _kept(connection: Connection, forgotten: Forgetting, *, by: str, why: str) -> list[Entry]:
    """Return the entries that write what stays, as it is without the episode."""
    known = select(CRITIQUE.c.id, CRITIQUE.c.version)
    versions = dict(connection.execute(known).all())
    return [
        *(wrote_critique(c, versions[c.id] + 1, by, why) for c in forgotten.critiques),
        *(
            wrote_item(Deed.REVISED, replace(item, version=item.version + 1), by, why)
            for item in forgotten.items
        ),
    ]
