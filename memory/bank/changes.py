"""What changes items of the bank: added, revised, settled beside what is there, moved.

Each is a part of one transaction, which the bank begins; the journal is told first.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select

from environments.errors import UserError
from memory.bank.provenance import check, check_new
from memory.knowledge.admission import (
    Decision,
    Outcome,
    RefusedError,
    merged,
    same_words,
    superseded,
)
from memory.knowledge.items import Item, Standing
from memory.knowledge.journal import USER, Deed, Entry
from memory.knowledge.wire import id_of, wrote_item
from memory.store import projection
from memory.store.errors import UnknownIdError
from memory.store.schema import ITEM, JOURNAL

MOVES = {
    Standing.CANDIDATE: (Standing.ACTIVE, Standing.RETIRED),
    Standing.ACTIVE: (Standing.RETIRED,),
    Standing.RETIRED: (Standing.CANDIDATE,),  # to be tried again, never straight into a prompt
}
"""Where an item may go from where it stands."""


class IllegalMoveError(UserError, ValueError):
    """An item cannot go from where it stands to where it was sent."""


class StaleError(UserError, ValueError):
    """An item was revised by someone else meanwhile."""


def current(connection: Connection, id: str) -> Item:
    """Return the current version of an item.

    Raises:
        UnknownIdError: there is none.
    """
    for found in projection.items(connection, [ITEM.c.id == id]):
        return found
    raise UnknownIdError(f"no item has the id {id!r}; list them with `apprentice skills list`")


def add(connection: Connection, items: Sequence[Item], by: str, why: str) -> list[Item]:
    """Write new items as candidates, and return them with the ids they were given."""
    if given := [item.id for item in items if item.id]:
        raise RefusedError(f"a new item comes without an id, not with {given[0]!r}; revise it")
    new = [replace(item, version=1, standing=Standing.CANDIDATE) for item in items]
    check_new(connection, new)
    seq = projection.next_seq(connection)
    named = [replace(item, id=id_of(item, n)) for n, item in enumerate(new, seq)]
    projection.record(connection, [wrote_item(Deed.ADDED, item, by, why) for item in named])
    return named


def revise(connection: Connection, item: Item, by: str, why: str) -> Item:
    """Write a changed item as its next version, and return that.

    Raises:
        StaleError: it is not the current version that was changed.
    """
    latest = current(connection, item.id)
    if item.version != latest.version:
        raise StaleError(
            f"version {item.version} of {item.id} is not its current one, "
            f"{latest.version}; change that one"
        )
    return _revised(connection, Deed.REVISED, latest, item, by, why)


def settle(connection: Connection, item: Item, decision: Decision, by: str) -> Item:
    """Write what was decided of a new item; return the one that holds it now.

    Candidates that come to say the same as that one leave their sources to it and are retired.
    """
    if decision.outcome is Outcome.KEEP:
        return add(connection, [item], by, decision.why)[0]
    other = current(connection, decision.other)
    merging = decision.outcome is Outcome.MERGE or _dismissed(connection, other)
    joint = merged(other, item) if merging else superseded(other, item)
    doubles = [] if merging else _waiting(connection, decision.also)
    for double in doubles:
        joint = merged(joint, double)
    if joint == other:
        return other  # heard from the same episodes before
    deed = Deed.MERGED if merging else Deed.SUPERSEDED
    kept = _revised(connection, deed, other, joint, by, decision.why)
    why = f"says the same as {kept.id} now, which has its sources"
    for double in doubles:
        move(connection, double.id, Standing.RETIRED, kept.source.made, by=by, why=why)
    return kept


def move(
    connection: Connection, id: str, standing: Standing, at: datetime, *, by: str, why: str
) -> Item:
    """Write where an item stands from now on, and return it so.

    Raises:
        IllegalMoveError: it cannot go there from where it stands; see `MOVES`.
    """
    item = current(connection, id)
    if standing not in MOVES[item.standing]:
        raise IllegalMoveError(
            f"{id} is {item.standing} and cannot become {standing}; "
            f"it can become {' or '.join(MOVES[item.standing])}"
        )
    moved = replace(item, standing=standing)
    entry = Entry(at=at, deed=Deed.MOVED, subject=id, version=item.version, by=by, why=why)
    projection.record(connection, [replace(entry, standing=standing)])
    return moved


def _waiting(connection: Connection, ids: Sequence[str]) -> list[Item]:
    """Return those that are candidates still."""
    if not ids:
        return []
    conditions = [ITEM.c.id.in_(ids), ITEM.c.standing == Standing.CANDIDATE]
    return projection.items(connection, conditions)


def _dismissed(connection: Connection, item: Item) -> bool:
    """Whether a person took it out of use, last of all who moved it."""
    if item.standing is not Standing.RETIRED:
        return False
    moves = (JOURNAL.c.subject == item.id, JOURNAL.c.deed == Deed.MOVED)
    query = select(JOURNAL.c.by).where(*moves).order_by(JOURNAL.c.seq.desc()).limit(1)
    return connection.scalar(query) == USER


def _revised(connection: Connection, deed: Deed, old: Item, item: Item, by: str, why: str) -> Item:
    standing = old.standing if same_words(old, item) else Standing.CANDIDATE
    new = replace(item, version=old.version + 1, standing=standing)
    if type(new) is not type(old):
        raise RefusedError(f"{old.id} is no {projection.word_of(type(new))}; add a new item")
    check(connection, [new])
    projection.record(connection, [wrote_item(deed, new, by, why)])
    return new
