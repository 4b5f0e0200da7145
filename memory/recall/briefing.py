"""The words that memory says before the first action, made of the items chosen.

For a small model: what was done, in few words and a fixed form it can copy. For a large one: also
why, and when not to. No items make no words, so that a prompt without memory stays as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from memory.knowledge.items import Demonstration, Item, Lesson, Move, Skill

Rendering: TypeAlias = Callable[[Sequence[Item]], str]

SEEN = 160
"""Characters of an observation that a large model is shown: what was found, without the rest of a
room's inventory; whole observations make up most of a demonstration's tokens."""


def small(items: Sequence[Item]) -> str:
    """Return a briefing for a model of about a billion weights or fewer.

    Advice comes first and examples last, next to the task, where a small model copies from.
    """
    told = sorted(items, key=lambda item: isinstance(item, Demonstration))
    return "\n\n".join("\n".join(_brief(item)) for item in told)


def large(items: Sequence[Item]) -> str:
    """Return a briefing for a model that weighs advice instead of copying it."""
    if not items:
        return ""
    blocks = ["\n".join(_full(item)) for item in items]
    return "\n\n".join([LARGE_OPENING, *blocks])


LARGE_OPENING = (
    "Notes from earlier tasks in this world. They may not fit this task, and names and numbers of "
    "things differ: follow what applies, ignore the rest."
)

RENDERINGS: dict[str, Rendering] = {"small": small, "large": large}

BUDGETS = {"small": 300, "large": 1_200}
"""Tokens of a briefing unless another number is named. A small model's whole context is 2,048; a
large one has room for two or three programs, of which 300 hold none (docs/log.md)."""


def _brief(item: Item) -> Iterator[str]:
    match item:
        case Demonstration():
            yield f"Example: {_line(item.goal)}"
            yield from chain.from_iterable(_quoted(move.action) for move in item.moves)
        case Lesson():
            yield f"Remember: {_line(item.instead)}"
        case Skill():
            yield f"How to {_line(item.name.replace('-', ' '))}:"
            yield from (f"> {_line(action)}" for action in item.procedure)


def _full(item: Item) -> Iterator[str]:
    match item:
        case Demonstration():
            yield f"## Solved before: {_line(item.goal)}"
            yield from (_move(move) for move in item.moves)
        case Lesson():
            yield f"## Lesson: {_line(item.when)}"
            yield from _said("Mistake", item.fault)
            yield from _said("Cause", item.why)
            yield from _said("Instead", item.instead)
            yield from _said("Not when", item.unless)
        case Skill():
            yield f"## Procedure {item.name}: {_line(item.purpose)}"
            yield from _said("Needs", item.precondition)
            yield from (f"{n}. {_line(action)}" for n, action in enumerate(item.procedure, 1))


def _move(move: Move) -> str:
    seen = _line(move.observation)
    shown = seen if len(seen) <= SEEN else f"{seen[:SEEN].rstrip()} ..."
    did = _quoted(move.action)
    told = f" {_line(move.action)}" if len(did) == 1 else "".join(f"\n  {line}" for line in did)
    return f"- saw: {shown}\n  did:{told}"


def _said(label: str, text: str) -> Iterator[str]:
    if text:
        yield f"{label}: {_line(text)}"


def _quoted(action: str) -> list[str]:
    """Return an action as it was written, each line quoted: the lines of a program mean something.

    Quoted, none of them can look like our headings; empty ones are left out.
    """
    lines = [line.rstrip() for line in action.splitlines() if line.strip()]
    return [f"> {line}" for line in lines] if len(lines) > 1 else [f"> {_line(action)}"]


def _line(text: str) -> str:
    """Return it on one line, so that no text copied from a world can look like our headings."""
    return " ".join(text.split())
