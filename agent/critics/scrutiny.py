"""Is what a critic says true to the record? Decided by comparing texts, never by asking a model.

What does not check out is rejected with a reason that can be counted. A critic cannot make a fact
about the world true by saying it: what it advises is a candidate that must prove itself in trials.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from agent.critics.case import Case
from memory.knowledge.items import Citation
from memory.making.abstract import abstracted, instances

SHORTEST_QUOTE = 8
"""Characters. Shorter words, such as "mug", are found in every observation and prove nothing."""

SHORTEST_HINT = 11
"""Characters; OpenClaw-RL drops hints of 10 or fewer (arXiv:2603.10165, its code)."""

MOST_SENTENCES = 3  # of a hint, as in OpenClaw-RL
MOST_CITATIONS = 20
LONGEST_FIELD = 600
"""Characters of one text of an answer: a lesson of five is read before a task, in a few hundred
tokens."""

COPIED_WORDS = 6
"""Words in a row that advice may share with an observation only by copying it. Copied text is no
advice, and may be an instruction that someone planted in the world. Five words are common: "the
fridge 1 is closed"."""

BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that make a terminal show another text than the one that is stored."""


class Rejection(StrEnum):
    """Why an answer, or a part of it, was not believed."""

    MALFORMED = "no answer in the form asked for"
    OVERLONG = "too long"
    NOT_TEXT = "holds characters that are no text"
    UNCITED = "cites nothing"
    NO_SUCH_STEP = "cites a step that does not exist"
    NOT_OBSERVED = "quotes what was not observed there"
    SHORT_HINT = "hint too short to say anything"
    LONG_HINT = "hint of more than three sentences"
    HINT_LEAKS = "hint gives the answer away"
    HINT_COPIED = "hint copies an observation"
    LESSON_EMPTY = "lesson lacks a part"
    LESSON_LEAKS = "lesson gives the answer away"
    LESSON_COPIED = "lesson copies an observation"


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


def _whole(value: object) -> object:
    if type(value) is not int:  # true and 1.0 equal 1, and would pass for it
        raise ValueError("should be a whole number")
    return value


class Cited(_Form):
    step: int
    quote: str


class Advice(_Form):
    """What a lesson says."""

    when: str
    fault: str
    why: str
    instead: str
    unless: str


class Answer(_Form):
    """What a critic is asked for; no part may be missing, as servers that hold to a schema want."""

    score: Annotated[Literal[-1, 0, 1], BeforeValidator(_whole)]
    citations: tuple[Cited, ...]
    hint: str
    lesson: Advice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What is left of an answer."""

    score: int
    citations: tuple[Citation, ...]
    hint: str  # empty: none, or rejected
    lesson: Advice | None  # without instance numbers; None: none, or rejected


def scrutinize(answer: Answer, case: Case) -> tuple[Opinion | None, tuple[Rejection, ...]]:
    """Return what can be believed of an answer, and why the rest cannot.

    An answer that is not text, or cites what was not there, is worth nothing at all; of another one
    the hint and the lesson are accepted or rejected by themselves.
    """
    if (fault := _fault(answer, case)) is not None:
        return None, (fault,)
    hint = answer.hint.strip()
    lesson = answer.lesson
    hint_fault = _hint_fault(hint, case) if hint else None
    lesson_fault = _lesson_fault(lesson, case) if lesson else None
    opinion = Opinion(
        score=answer.score,
        citations=tuple(Citation(step=c.step, quote=c.quote.strip()) for c in answer.citations),
        hint="" if hint_fault else hint,
        lesson=None if lesson is None or lesson_fault else _abstracted(lesson),
    )
    return opinion, tuple(fault for fault in (hint_fault, lesson_fault) if fault is not None)


def leaks(text: str, case: Case) -> bool:
    """Whether a text gives away what solves the task.

    It does if it says an action of a solution with the numbers of its things, or names a thing of
    a solution that the attempt never saw, or says every action of a solution. Where the world
    knows no solution and nobody found one, nothing can be given away.
    """
    told, named = _folded(text), set(map(str.casefold, instances(text)))
    unseen = named - set(map(str.casefold, instances("\n".join(case.seen))))
    for way in filter(None, (case.gold, *case.solutions.values())):
        numbered = (action for action in way if instances(action))
        things = set(map(str.casefold, instances("\n".join(way))))
        if any(_folded(action) in told for action in numbered) or unseen & things:
            return True
        if all(_folded(action) in told for action in way):
            return True
    return False


def copied(text: str, case: Case) -> bool:
    """Whether a text repeats an observation word for word; the goal may be repeated."""
    words = _folded(text).split()
    seen = " | ".join(_folded(each.replace(case.episode.task.goal, " | ")) for each in case.seen)
    return any(
        f" {' '.join(words[start : start + COPIED_WORDS])} " in seen
        for start in range(len(words) - COPIED_WORDS + 1)
    )


def _fault(answer: Answer, case: Case) -> Rejection | None:
    """Return why the whole answer is not believed, or None."""
    texts = list(_texts(answer))
    if len(answer.citations) > MOST_CITATIONS or any(len(text) > LONGEST_FIELD for text in texts):
        return Rejection.OVERLONG
    if not all(map(_is_text, texts)):
        return Rejection.NOT_TEXT
    if not answer.citations:
        return Rejection.UNCITED
    if not all(0 <= cited.step < len(case.seen) for cited in answer.citations):
        return Rejection.NO_SUCH_STEP
    if not all(_observed(cited, case) for cited in answer.citations):
        return Rejection.NOT_OBSERVED
    return None


def _observed(cited: Cited, case: Case) -> bool:
    quote = " ".join(cited.quote.split())
    return len(quote) >= SHORTEST_QUOTE and quote in " ".join(case.seen[cited.step].split())


def _hint_fault(hint: str, case: Case) -> Rejection | None:
    if len(hint) < SHORTEST_HINT:
        return Rejection.SHORT_HINT
    if len(re.split(r"(?<=[.!?])\s+|\n+", hint)) > MOST_SENTENCES:
        return Rejection.LONG_HINT
    if leaks(hint, case):
        return Rejection.HINT_LEAKS
    return Rejection.HINT_COPIED if copied(hint, case) else None


def _lesson_fault(lesson: Advice, case: Case) -> Rejection | None:
    if not all(text.strip() for text in (lesson.when, lesson.fault, lesson.instead)):
        return Rejection.LESSON_EMPTY
    if copied(" | ".join(_texts(lesson)), case):
        return Rejection.LESSON_COPIED
    return Rejection.LESSON_LEAKS if leaks(" | ".join(_texts(_abstracted(lesson))), case) else None


def _abstracted(lesson: Advice) -> Advice:
    parts = {name: abstracted(text.strip()) for name, text in lesson.model_dump().items()}
    return Advice(**parts)


def _texts(form: BaseModel) -> Iterator[str]:
    for value in form.__dict__.values():
        match value:
            case str():
                yield value
            case BaseModel():
                yield from _texts(value)
            case tuple():
                for each in value:
                    yield from _texts(each)
            case _:
                pass


def _is_text(text: str) -> bool:
    """Whether a terminal and every database can hold it: no control, private or bidi characters."""
    return BIDI.isdisjoint(text) and not any(
        unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c not in "\n\t" for c in text
    )


def _folded(text: str) -> str:
    """Return the words of a text in lower case between single spaces, one at each end."""
    words = re.findall(r"\w+|[|]", text.casefold())
    return f" {' '.join(words)} "
