"""Items and episodes by the words in them, the same ones on every database.

How a database keeps and asks its index is behind `memory.store.dialect`: FTS5 or tsvector.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import accumulate

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    Integer,
    Text,
    bindparam,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
    table,
    union_all,
)

from environments.episode import Episode
from memory.store.dialect import speech
from memory.store.schema import ITEM

TERMS = 32
"""Different words of a query that are looked for, the first ones, which name the goal."""

RANKED = 1_000
"""Items whose score is worked out, at 1.5 microseconds each. The rarest words that occur in no more
than these together are looked for: the others weigh little in BM25, and cost the most."""

_WORD = re.compile(r"[^\W_]+")  # as FTS5 has it: an underscore parts two words
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}

WORDS = table("item_words", column("rowid", Integer), column("words", Text))

LIVED = table(
    "episode_words", column("rowid", Integer), column("episode", Text), column("words", Text)
)
"""The different words of each episode. Its rows count up as episodes are stored."""


def put(connection: Connection, words: Sequence[tuple[int, str]]) -> None:
    """Index the words of new items, given by number."""
    rows = [{"rowid": number, "words": said} for number, said in words]
    speech(connection.dialect).put_words(connection, WORDS, rows)


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    removed = delete(WORDS).where(WORDS.c.rowid == bindparam("number"))
    connection.execute(removed, [{"number": number} for number in numbers])


def remove_all(connection: Connection) -> None:
    connection.execute(delete(WORDS))


def search(
    connection: Connection, query: str, limit: int, where: Iterable[ColumnElement[bool]]
) -> list[tuple[str, float]]:
    """Return the ids of the items that fit the words best, best first, with scores above 0."""
    spoken = speech(connection.dialect)
    counts, together = _affordable(connection, _terms(query))
    if not counts:
        return []
    asked = spoken.asked(list(counts), together=together)
    fit = spoken.fit(WORDS, counts).label("fit")
    best = (
        select(ITEM.c.id, fit)
        .join_from(WORDS, ITEM, ITEM.c.number == WORDS.c.rowid)
        .where(spoken.answers(WORDS, literal(asked)), *where)
        .order_by(fit.desc(), WORDS.c.rowid)
        .limit(limit)
    )
    return [(id, score) for id, score in connection.execute(best)]


def put_episodes(connection: Connection, episodes: Iterable[Episode]) -> None:
    """Index the words of episodes that are new."""
    rows = [{"episode": each.id, "words": words_of(each)} for each in episodes]
    if rows:
        speech(connection.dialect).put_words(connection, LIVED, rows)


def put_packed(connection: Connection, bodies: Iterable[bytes]) -> None:
    """Index the words of episodes as the store keeps them; one that is damaged has none."""
    from memory.store.body import unpack  # pydantic: 0.1 s, which a search need not pay

    def read() -> Iterator[Episode]:
        for packed in bodies:
            with suppress(ValueError):  # it is for the store to tell
                yield unpack(packed)

    put_episodes(connection, read())


def remove_episode(connection: Connection, id: str) -> None:
    """Forget the words of an episode; SQLite looks through all, some 0.1 s among 100,000."""
    connection.execute(delete(LIVED).where(LIVED.c.episode == id))


def words_of(episode: Episode) -> str:
    """Return the different words of an episode: all that it was about, that was seen and done."""
    task = episode.task
    seen = (part for step in episode.steps for part in (step.observation, step.completion.text))
    told = "\n".join((task.goal, task.kind, task.id, episode.briefing, episode.closing, *seen))
    return " ".join(dict.fromkeys(_words(told)))


def lived(connection: Connection, words: str) -> ColumnElement[bool] | None:
    """Return whether an episode holds all of the words; None: none was given."""
    terms = _terms(words)
    if not terms:
        return None
    spoken = speech(connection.dialect)
    return spoken.answers(LIVED, literal(spoken.asked(terms, together=True)))


def _terms(words: str) -> list[str]:
    return list(dict.fromkeys(_words(words)))[:TERMS]


def _words(text: str) -> list[str]:
    """Return the words of a text, in lower case; in English thrice as fast as by the expression."""
    if text.isascii():
        return text.translate(_ASCII).split()
    return _WORD.findall(text.lower())


def _affordable(connection: Connection, terms: Sequence[str]) -> tuple[Mapping[str, int], bool]:
    """Return terms that few enough items hold, with how many hold each, and whether to ask for all.

    If each word alone is in too many, all of them must be there together; no term: not even so.
    """
    spoken = speech(connection.dialect)
    each = _counts(connection, [spoken.asked([term], together=True) for term in terms])
    found = sorted(zip(each, terms, strict=True))
    total = accumulate(count for count, _ in found)
    rare = {term: count for (count, term), sum in zip(found, total, strict=True) if sum <= RANKED}
    if rare or not terms:
        return rare, False
    together = _counts(connection, [spoken.asked(terms, together=True)])[0]
    return (dict.fromkeys(terms, together) if together <= RANKED else {}), True


def _counts(connection: Connection, questions: Sequence[str]) -> list[int]:
    """Return how many items answer each, counting no further than one above what can be ranked.

    In one statement: to send one for each word took a fifth of the time of a recall.
    """
    if not questions:
        return []
    asked = {f"q{place}": question for place, question in enumerate(questions)}
    counting = _counting(connection.dialect, len(questions), RANKED + 1)
    return [count for _, count in sorted(connection.execute(counting, asked).all())]


@cache
def _counting(dialect: Dialect, many: int, most: int) -> CompoundSelect[int, int]:
    answers = speech(dialect).answers
    counted = [
        select(WORDS.c.rowid)
        .where(answers(WORDS, bindparam(f"q{place}", type_=Text)))
        .limit(literal_column(str(most)))
        .subquery()
        for place in range(many)
    ]
    return union_all(
        *(
            select(literal_column(str(place)), func.count()).select_from(some)
            for place, some in enumerate(counted)
        )
    )
