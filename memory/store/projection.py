"""The tables that follow from the journal: what each entry does to them.

Writing and rebuilding take the same road, so a bank made again from its journal cannot differ.
Entries whose content was forgotten do nothing: a later one removed what they made.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from itertools import groupby
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from memory.knowledge.items import Critique, Item, Recalled, text_of
from memory.knowledge.journal import Deed, Entry
from memory.knowledge.wire import (
    Content,
    critique_of,
    item_from_json,
    item_of,
    number_of,
    recalls_of,
    tags_of,
)
from memory.store import fulltext
from memory.store.database import insert_new
from memory.store.schema import CRITIQUE, ITEM, JOURNAL, RECALL, SOURCE, VECTOR
from memory.store.vectors import carry_over, drop_before

PAGE = 1000
"""Entries in memory at once while rebuilding: a megabyte."""

Row: TypeAlias = dict[str, Any]


def next_seq(connection: Connection) -> int:
    """Return the number that the next entry will have; only a transaction that writes may ask."""
    return (connection.scalar(select(func.max(JOURNAL.c.seq))) or 0) + 1


def record(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries to the end of the journal, numbered there, and bring the tables after them."""
    numbered = [replace(entry, seq=seq) for seq, entry in enumerate(entries, next_seq(connection))]
    if numbered:
        connection.execute(insert(JOURNAL), [_row(entry) for entry in numbered])
        apply(connection, numbered)


def apply(connection: Connection, entries: Iterable[Entry]) -> None:
    """Bring the tables from before these entries to after them."""
    for deed, together in groupby(entries, key=lambda entry: entry.deed):
        _EFFECTS[deed](connection, list(together))


def rebuild(connection: Connection) -> None:
    """Make the tables again from nothing but the journal."""
    for table in (ITEM, CRITIQUE, SOURCE, RECALL):
        connection.execute(delete(table))
    fulltext.remove_all(connection)
    last = 0
    while page := read(connection, last):
        apply(connection, page)
        last = page[-1].seq
    connection.execute(delete(VECTOR).where(VECTOR.c.item.not_in(select(ITEM.c.id))))


def read(connection: Connection, after: int) -> list[Entry]:
    """Return the next page of entries, in their order."""
    query = select(JOURNAL).where(JOURNAL.c.seq > after).order_by(JOURNAL.c.seq).limit(PAGE)
    return [Entry(**found) for found in connection.execute(query).mappings()]


def items(connection: Connection, where: Iterable[ColumnElement[bool]]) -> list[Item]:
    """Return the current versions of items, oldest first."""
    query = (
        select(ITEM.c.id, ITEM.c.version, ITEM.c.standing, JOURNAL.c.content)
        .join(JOURNAL, JOURNAL.c.seq == ITEM.c.entry)
        .where(*where)
        .order_by(ITEM.c.number)
    )
    return [item_from_json(*found) for found in connection.execute(query)]


def critiques(connection: Connection, where: Iterable[ColumnElement[bool]]) -> list[Critique]:
    """Return critiques, oldest first."""
    query = select(JOURNAL).join(CRITIQUE, CRITIQUE.c.entry == JOURNAL.c.seq)
    found = connection.execute(query.where(*where).order_by(CRITIQUE.c.number)).mappings()
    return [critique_of(Entry(**row)) for row in found]


def contents(connection: Connection) -> dict[str, list[Any]]:
    """Return all rows of all the tables, in an order that does not depend on how they came."""
    tables = (ITEM, CRITIQUE, SOURCE, RECALL, fulltext.WORDS)
    return {
        str(table.name): sorted(connection.execute(select(table)).all(), key=repr)
        for table in tables
    }


def word_of(type: type[Item]) -> str:
    """Return how the table of items names a type of them."""
    return type.__name__.lower()


def _add_items(connection: Connection, entries: Sequence[Entry]) -> None:
    written = [(entry, item_of(entry)) for entry in entries if entry.content is not None]
    if not written:
        return
    rows = [_item_row(entry, item, number_of(entry.subject)) for entry, item in written]
    connection.execute(insert(ITEM), rows)
    _add_sources(connection, written)
    fulltext.put(connection, [(number_of(item.id), text_of(item)) for _, item in written])


def _revise_items(connection: Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.content is not None:
            _revise(connection, entry)


def _revise(connection: Connection, entry: Entry) -> None:
    item = item_of(entry)
    for before in items(connection, [ITEM.c.id == item.id]):
        connection.execute(delete(ITEM).where(ITEM.c.id == item.id))
        fulltext.remove(connection, [number_of(item.id)])
        if text_of(before) == text_of(item):
            carry_over(connection, item.id, item.version)
        drop_before(connection, item.id, item.version)
    _add_items(connection, [entry])


def _move_items(connection: Connection, entries: Sequence[Entry]) -> None:
    moved = update(ITEM).where(ITEM.c.id == bindparam("subject")).values(standing=bindparam("to"))
    connection.execute(
        moved, [{"subject": entry.subject, "to": entry.standing} for entry in entries]
    )


def _criticize(connection: Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.content is not None:
            critique = critique_of(entry)
            row = {
                "id": entry.subject,
                "number": number_of(entry.subject),
                "episode": critique.episode,
                "version": entry.version,
                "entry": entry.seq,
            }
            connection.execute(delete(CRITIQUE).where(CRITIQUE.c.id == entry.subject))
            connection.execute(insert(CRITIQUE), [row])
            _add_sources(connection, [(entry, critique)])


def _recall(connection: Connection, entries: Sequence[Entry]) -> None:
    rows: list[Row] = []
    for entry in entries:
        if entry.content is not None:
            rows += [_row(recalled) for recalled in recalls_of(entry)]
    if rows:  # a resumed episode recalls again: the first
        connection.execute(insert_new(connection, RECALL), rows)


def _tag(connection: Connection, entries: Sequence[Entry]) -> None:
    tagged = update(RECALL).where(
        RECALL.c.episode == bindparam("of"), RECALL.c.item == bindparam("named")
    )
    for entry in entries:
        tags = tags_of(entry)
        rows = [{"of": entry.subject, "named": item, "said": tags[item]} for item in tags]
        if rows:
            connection.execute(tagged.values(tag=bindparam("said")), rows)


def _leave(connection: Connection, entries: Sequence[Entry]) -> None:
    """Change no table: the journal itself is read, by the episode that is its subject."""


def _remove(connection: Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        id = entry.subject
        connection.execute(delete(ITEM).where(ITEM.c.id == id))
        connection.execute(delete(CRITIQUE).where(CRITIQUE.c.id == id))
        connection.execute(delete(SOURCE).where(SOURCE.c.subject == id))
        connection.execute(delete(RECALL).where(RECALL.c.item == id))
        connection.execute(delete(VECTOR).where(VECTOR.c.item == id))
        fulltext.remove(connection, [number_of(id)])


def _forget(connection: Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        naming = select(SOURCE.c.subject, SOURCE.c.version).where(SOURCE.c.episode == entry.subject)
        connection.execute(
            delete(SOURCE).where(tuple_(SOURCE.c.subject, SOURCE.c.version).in_(naming))
        )
        connection.execute(delete(RECALL).where(RECALL.c.episode == entry.subject))


_EFFECTS: dict[Deed, Callable[[Connection, Sequence[Entry]], None]] = {
    Deed.ADDED: _add_items,
    Deed.REVISED: _revise_items,
    Deed.MERGED: _revise_items,
    Deed.SUPERSEDED: _revise_items,
    Deed.MOVED: _move_items,
    Deed.CRITICIZED: _criticize,
    Deed.RECALLED: _recall,
    Deed.TAGGED: _tag,
    Deed.ANNOTATED: _leave,
    Deed.REMOVED: _remove,
    Deed.FORGOTTEN: _forget,
}


def _add_sources(connection: Connection, written: Sequence[tuple[Entry, Content]]) -> None:
    rows = [
        {"subject": entry.subject, "version": entry.version, "episode": episode}
        for entry, content in written
        for episode in content.source.episodes
    ]
    connection.execute(insert(SOURCE), rows)


def _item_row(entry: Entry, item: Item, number: int) -> Row:
    return {
        "id": item.id,
        "number": number,
        "type": word_of(type(item)),
        "environment": item.environment,
        "kind": item.kind,
        "version": item.version,
        "standing": item.standing,
        "entry": entry.seq,
    }


def _row(record: Entry | Recalled) -> Row:
    return {field.name: getattr(record, field.name) for field in fields(record)}
