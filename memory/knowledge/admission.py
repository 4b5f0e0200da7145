"""Who may enter memory, and what becomes of one who says what another says already.

Decisions only: the similarities come in as numbers, and whoever calls writes the outcome down.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from environments.anchor import Anchor
from environments.errors import UserError
from memory.knowledge.items import Critique, Demonstration, Item, Lesson, Skill, Source, Standing

DUPLICATE = 0.90
"""Cosine at and above which two items say the same. ACE merges at 0.90 (arXiv:2510.04618), EvolveR
at 0.85 (arXiv:2510.16079); the stricter, since a wrong merge loses words, a missed one room."""

LONGEST = 200_000
"""Characters in one item. A context window of 32,000 tokens holds half of it; what is longer comes
from a critic that repeats itself or from someone who fills the disk."""

MOST_HEARD = 100
"""Episodes that a lesson names as its sources. One more would make it no surer, and each version in
the journal holds all of them."""

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_NAME = 64
"""What SKILL.md allows as a name, so that every skill can be exported (agentskills.io)."""

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

T = TypeVar("T", Demonstration, Lesson, Skill)
Remembered: TypeAlias = Item | Critique


class RefusedError(UserError, ValueError):
    """Something may not enter memory."""


class Outcome(StrEnum):
    """What becomes of an item that wants to enter."""

    KEEP = "keep"  # nothing says the same
    MERGE = "merge"  # another says it as well or better, and gains the sources
    SUPERSEDE = "supersede"  # it says it better, and replaces the words of the other


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    other: str  # the id of the item that says the same; empty: none does
    why: str
    also: tuple[str, ...] = ()  # ids of candidates whose words are replaced too


def refusal(content: Remembered) -> str | None:
    """Return why this may not enter memory, or None if it may."""
    return _refusal_of_text(content) or _refusal_of_source(content.source) or _refusal_of(content)


def decide(item: Item, similar: Sequence[tuple[Item, float]]) -> Decision:
    """Decide whether an item is kept, merged into one there is, or supersedes it.

    What is in use was proven as it stands, and keeps its words until they fail. What failed and is
    retired comes back, under its id and to be proven anew, where something says it better, and not
    in whatever other words: a bad idea has many. So that no two come to say the same, words are
    only replaced where nobody in use or waiting says them as well, and then of all who wait.

    Args:
        item: the one that wants to enter.
        similar: others there are, with the cosine of their embedding to the item's.
    """
    rivals = [(other, cosine) for other, cosine in similar if _same_matter(item, other, cosine)]
    if not rivals:
        return Decision(Outcome.KEEP, "", "nothing says the same")
    waiting = [rival for rival in rivals if rival[0].standing is Standing.CANDIDATE]
    in_use = [rival for rival in rivals if rival[0].standing is Standing.ACTIVE]
    as_good = [rival for rival in waiting if _advantage(item, rival[0]) is None]
    other, cosine = max(in_use or as_good or rivals, key=lambda rival: rival[1])
    alike = f"like {other.id} (cosine {cosine:.3f})"
    if other.standing is Standing.ACTIVE:
        return Decision(Outcome.MERGE, other.id, f"{alike}, which was tried as it stands")
    if (better := _advantage(item, other)) is None:
        return Decision(Outcome.MERGE, other.id, f"{alike}, and no better")
    also = tuple(each.id for each, _ in waiting if each is not other)
    return Decision(Outcome.SUPERSEDE, other.id, f"{alike}, and {better}", also)


def merged(kept: Item, other: Item) -> Item:
    """Return the kept item with the sources of both, of a lesson no more than `MOST_HEARD`."""
    most = MOST_HEARD if isinstance(kept, Lesson) else None
    source = _joined(kept.source, other.source, most)
    if isinstance(kept, Skill) and isinstance(other, Skill):
        both = dict.fromkeys((*kept.demonstrations, *other.demonstrations))
        return replace(kept, source=source, demonstrations=tuple(both))
    return replace(kept, source=source)


def superseded(old: Item, new: Item) -> Item:
    """Return the words of the new item in the place of the old one, with the sources of both."""
    return replace(merged(new, old), id=old.id, version=old.version, standing=old.standing)


def same_words(item: Item, other: Item) -> bool:
    """Whether an agent briefed with either would read the same: only the provenance differs."""
    return _words(item) == _words(other)


def _refusal_of_text(content: Remembered) -> str | None:
    said = list(_strings(content))
    if not all(_is_unicode(text) for text in said):
        return "it holds half a surrogate pair, which is no Unicode; replace such characters"
    if (length := sum(map(len, said))) > LONGEST:
        return f"it holds {length} characters, more than {LONGEST}; shorten it"
    return None


def _refusal_of_source(source: Source) -> str | None:
    if not source.episodes:
        return "it names no source episode; make its source with Source.of"
    if source.made.tzinfo is None:
        return f"its source was made at {source.made!r}, without a time zone; give one"
    return None


def _refusal_of(content: Remembered) -> str | None:
    match content:
        case Demonstration():
            return None if content.moves else "a demonstration without moves shows nothing"
        case Lesson():
            return _refusal_of_lesson(content)
        case Skill():
            return _refusal_of_skill(content)
        case Critique():
            return _refusal_of_critique(content)


def _refusal_of_critique(critique: Critique) -> str | None:
    if critique.score not in (-1, 0, 1):
        return f"a critique scores -1, 0 or 1, not {critique.score}"
    if critique.episode not in critique.source.episodes:
        return f"its source does not name episode {critique.episode!r}, which it is of"
    return None


def _refusal_of_lesson(lesson: Lesson) -> str | None:
    empty = [name for name in ("when", "fault", "instead") if not getattr(lesson, name).strip()]
    return f"a lesson without {' and '.join(empty)} teaches nothing" if empty else None


def _refusal_of_skill(skill: Skill) -> str | None:
    if not NAME.fullmatch(skill.name) or len(skill.name) > LONGEST_NAME:
        return (
            f"skill name {skill.name[:80]!r} is not 1 to {LONGEST_NAME} lower-case letters, digits "
            "and single hyphens"
        )
    if not skill.procedure or not skill.purpose.strip():
        return f"skill {skill.name!r} lacks a purpose or a procedure"
    used = {name for action in skill.procedure for name in PLACEHOLDER.findall(action)}
    if idle := sorted(set(skill.parameters) - used):
        return f"skill {skill.name!r} has parameters that its procedure does not use: {idle}"
    return None


def _same_matter(item: Item, other: Item, cosine: float) -> bool:
    """Whether two items are of one sort and say the same; a general one covers every kind."""
    if type(item) is not type(other) or item.environment != other.environment:
        return False
    if isinstance(item, Skill) and isinstance(other, Skill) and item.name == other.name:
        return True
    return cosine >= DUPLICATE and (item.kind == other.kind or "" in (item.kind, other.kind))


def _advantage(item: Item, other: Item) -> str | None:
    """Return in what the item is better than one that says the same, or None if in nothing."""
    if item.kind != other.kind:
        return "holds for every kind" if not item.kind else None
    if _trust(item) != _trust(other):
        return "rests on a better anchor" if _trust(item) < _trust(other) else None
    match item, other:
        case Demonstration(), Demonstration():
            return _advantage_of_demonstration(item, other)
        case Lesson(), Lesson():
            return "says when not to" if item.unless and not other.unless else None
        case Skill(), Skill():
            more = len(item.demonstrations) > len(other.demonstrations)
            return "rests on more demonstrations" if more else None
        case _:
            return None


def _advantage_of_demonstration(item: Demonstration, other: Demonstration) -> str | None:
    if item.replayed != other.replayed:
        return "was replayed" if item.replayed else None
    return "is shorter" if len(item.moves) < len(other.moves) else None


def _trust(item: Item) -> int:
    """Return the place of the item's anchor, 0 the most trustworthy."""
    return list(Anchor).index(item.source.anchor)


def _joined(first: Source, other: Source, most: int | None) -> Source:
    """Return a source of both; judged as the first, whose words are kept."""
    joined = replace(
        first,
        episodes=tuple(dict.fromkeys((*first.episodes, *other.episodes)))[:most],
        policy=_names(first.policy, other.policy),
        critic=_names(first.critic, other.critic),
    )
    # What says nothing new is not newer: else a skill would be revised whenever it is induced.
    return first if joined == first else replace(joined, made=max(first.made, other.made))


def _names(*lists: str) -> str:
    return ", ".join(sorted({name for names in lists for name in names.split(", ") if name}))


def _words(item: Item) -> dict[str, Any]:
    provenance = {"version", "standing", "source", "critique", "demonstrations"}
    return {
        field.name: getattr(item, field.name)
        for field in fields(item)
        if field.name not in provenance
    }


def _strings(value: object) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _strings(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _strings(getattr(value, field.name))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
