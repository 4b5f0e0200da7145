"""Items by the words in them: the one place that speaks to SQLite's FTS5.

PostgreSQL's tsvector would stand behind the same three functions.
"""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    bindparam,
    column,
    delete,
    insert,
    select,
    table,
)

from memory.schema import ITEM

TERMS = 32
"""Different words of a query that are looked for, the first ones: each costs a walk over all items
that hold it, and the words of a goal come first."""


WORDS = table("item_words", column("rowid", Integer), column("words", Text), column("rank", Float))


def put(connection: Connection, words: Sequence[tuple[int, str]]) -> None:
    """Index the words of new items, given by number."""
    rows = [{"rowid": number, "words": said} for number, said in words]
    connection.execute(insert(WORDS), rows)


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    removed = delete(WORDS).where(WORDS.c.rowid == bindparam("number"))
    connection.execute(removed, [{"number": number} for number in numbers])


def remove_all(connection: Connection) -> None:
    connection.execute(delete(WORDS))


def search(
    connection: Connection, query: str, limit: int, where: Iterable[ColumnElement[bool]]
) -> list[tuple[str, float]]:
    """Return the ids of the items that fit the words best, best first, with BM25 scores above 0."""
    terms = list(dict.fromkeys(re.findall(r"\w+", query.lower())))[:TERMS]
    if not terms:
        return []
    quoted = " OR ".join(f'"{term}"' for term in terms)
    best = (
        select(ITEM.c.id, -WORDS.c.rank)
        .join_from(WORDS, ITEM, ITEM.c.number == WORDS.c.rowid)
        .where(WORDS.c.words.op("MATCH")(quoted), *where)
        .order_by(WORDS.c.rank, WORDS.c.rowid)
        .limit(limit)
    )
    return [(id, score) for id, score in connection.execute(best)]
