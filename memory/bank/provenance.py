"""Whether what a memory says of its origin is true: traced in the store, not believed."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from environments.episode import Ending, Split
from memory.knowledge.admission import RefusedError, refusal
from memory.knowledge.items import HeldOutError, Lesson, Skill
from memory.knowledge.wire import Content
from memory.store.errors import UnknownIdError
from memory.store.schema import CRITIQUE, EPISODE, ITEM, SOURCE

ASKED = 500
"""Ids in one question: a SQLite of 2020 takes no more than 999 values."""


def check(connection: Connection, contents: Sequence[Content]) -> None:
    """Return if these may be stored.

    Raises:
        RefusedError: `admission.refusal`, or a source episode is broken.
        HeldOutError: a source episode is not of a train task.
        UnknownIdError: something that one of them names is not stored.
    """
    for content in contents:
        if reason := refusal(content):
            raise RefusedError(reason)
    _check_episodes(connection, {id for content in contents for id in content.source.episodes})
    origins = _origins(connection, contents)
    for part in (part for content in contents for part in _parts(content)):
        if part not in origins:
            raise UnknownIdError(f"{part!r}, which it is made of, is not stored; store it first")


def check_new(connection: Connection, contents: Sequence[Content]) -> None:
    """Check also that each shares a source with what it is made of, so that forgetting finds both.

    Later versions may not: one of the two may have forgotten what they shared.
    """
    check(connection, contents)
    origins = _origins(connection, contents)
    for content in contents:
        for part in _parts(content):
            if origins[part].isdisjoint(content.source.episodes):
                raise RefusedError(f"its source names no episode of {part}, which it is made of")


def _check_episodes(connection: Connection, ids: set[str]) -> None:
    query = select(EPISODE.c.id, EPISODE.c.split, EPISODE.c.ending)
    found = {
        id: (split, ending) for id, split, ending in _asked(connection, query, EPISODE.c.id, ids)
    }
    for id in sorted(ids):
        if id not in found:
            raise UnknownIdError(f"source episode {id!r} is not stored; store it first")
        split, ending = found[id]
        if split is not Split.TRAIN:
            raise HeldOutError(f"source episode {id!r} is of a {split} task")
        if ending is Ending.BROKEN:
            raise RefusedError(f"source episode {id!r} is broken; it teaches nothing")


def _origins(connection: Connection, contents: Sequence[Content]) -> dict[str, set[str]]:
    """Return the source episodes of what these are made of, by its id."""
    parts = {part for content in contents for part in _parts(content)}
    origins: dict[str, set[str]] = {}
    for table in (ITEM, CRITIQUE):
        query = select(SOURCE.c.subject, SOURCE.c.episode).join(
            table, (table.c.id == SOURCE.c.subject) & (table.c.version == SOURCE.c.version)
        )
        for part, episode in _asked(connection, query, SOURCE.c.subject, parts):
            origins.setdefault(part, set()).add(episode)
    return origins


def _parts(content: Content) -> tuple[str, ...]:
    match content:
        case Lesson(critique=critique) if critique:
            return (critique,)
        case Skill(demonstrations=demonstrations):
            return demonstrations
        case _:
            return ()


def _asked(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    column: ColumnElement[str],
    ids: Iterable[str],
) -> list[Any]:
    """Return the rows of a query for these values of a column."""
    wanted = sorted(ids)
    return [
        row
        for start in range(0, len(wanted), ASKED)
        for row in connection.execute(query.where(column.in_(wanted[start : start + ASKED])))
    ]
