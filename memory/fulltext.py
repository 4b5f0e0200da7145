"""Items and episodes by the words in them: the one place that speaks to SQLite's FTS5.

PostgreSQL's tsvector would stand behind the same functions.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    Text,
    TextClause,
    bindparam,
    column,
    delete,
    insert,
    literal_column,
    select,
    table,
    text,
)

from environments.episode import Episode
from memory.schema import ITEM

TERMS = 32
"""Different words of a query that are looked for, the first ones, which name the goal."""

RANKED = 1_000
"""Items whose score is worked out, at 1.5 microseconds each. The rarest words that occur in no more
than these together are looked for: the others weigh little in BM25, and cost the most."""

WORDS = table("item_words", column("rowid", Integer), column("words", Text), column("rank", Float))

LIVED = table(
    "episode_words", column("rowid", Integer), column("episode", Text), column("words", Text)
)
"""The different words of each episode. Its rows count up as episodes are stored."""


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
    terms = [f'"{term}"' for term in dict.fromkeys(re.findall(r"\w+", query.lower()))][:TERMS]
    wanted = _affordable(connection, terms)
    if not wanted:
        return []
    best = (
        select(ITEM.c.id, -WORDS.c.rank)
        .join_from(WORDS, ITEM, ITEM.c.number == WORDS.c.rowid)
        .where(_matches(wanted), *where)
        .order_by(WORDS.c.rank, WORDS.c.rowid)
        .limit(limit)
    )
    return [(id, score) for id, score in connection.execute(best)]


def put_episodes(connection: Connection, episodes: Iterable[Episode]) -> None:
    """Index the words of episodes that are new."""
    rows = [{"episode": each.id, "words": words_of(each)} for each in episodes]
    if rows:
        connection.execute(insert(LIVED), rows)


def remove_episode(connection: Connection, id: str) -> None:
    """Forget the words of an episode; all are looked through, some 0.1 s among 100,000."""
    connection.execute(delete(LIVED).where(LIVED.c.episode == id))


def words_of(episode: Episode) -> str:
    """Return the different words of an episode: all that it was about, that was seen and done."""
    task = episode.task
    seen = (part for step in episode.steps for part in (step.observation, step.completion.text))
    told = "\n".join((task.goal, task.kind, task.id, episode.briefing, episode.closing, *seen))
    return " ".join(dict.fromkeys(re.findall(r"\w+", told.lower())))


def lived(words: str) -> ColumnElement[bool] | None:
    """Return whether an episode holds all of the words; None: none was given."""
    terms = [f'"{term}"' for term in dict.fromkeys(re.findall(r"\w+", words.lower()))][:TERMS]
    if not terms:
        return None
    whole = literal_column(LIVED.name, Text)  # an index without detail takes no single column
    return whole.op("MATCH", is_comparison=True)(" ".join(terms))


def _affordable(connection: Connection, terms: Sequence[str]) -> str:
    """Return a query that few enough items match; empty: there is none.

    If each word alone is in too many, all of them must be there together.
    """
    found = sorted(zip(_counts(connection, terms), terms, strict=True))
    total = accumulate(count for count, _ in found)
    rare = [term for (_, term), sum in zip(found, total, strict=True) if sum <= RANKED]
    if rare or not terms:
        return " OR ".join(rare)
    together = " AND ".join(terms)
    return together if _counts(connection, [together])[0] <= RANKED else ""


def _counts(connection: Connection, queries: Sequence[str]) -> list[int]:
    """Return how many items match each, counting no further than one above what can be ranked.

    In one statement: to send one for each word took a fifth of the time of a recall.
    """
    if not queries:
        return []
    asked = {f"q{place}": query for place, query in enumerate(queries)}
    return [count for _, count in sorted(connection.execute(_counting(len(queries)), asked).all())]


def _matches(wanted: str) -> ColumnElement[bool]:
    return WORDS.c.words.op("MATCH", is_comparison=True)(wanted)


@cache
def _counting(many: int) -> TextClause:
    one = (
        "SELECT {place}, count(*) FROM "
        "(SELECT rowid FROM item_words WHERE words MATCH :q{place} LIMIT {most})"
    )
    parts = (one.format(place=place, most=RANKED + 1) for place in range(many))
    return text(" UNION ALL ".join(parts))
