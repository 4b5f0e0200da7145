"""Memories in words, the same ones in the terminal and on a page."""

from collections.abc import Iterator
from difflib import unified_diff

from memory.knowledge import skill_md
from memory.knowledge.items import Demonstration, Item, Lesson
from memory.proof.credit import Uplift


def headline(item: Item) -> str:
    """Return an item in one line."""
    if isinstance(item, Lesson):
        return item.instead
    return item.goal if isinstance(item, Demonstration) else item.name


def measured(uplift: Uplift) -> str:
    """Return an uplift with its interval."""
    if uplift.estimate is None:
        return "not measured yet"
    return f"{uplift.estimate:+.2f} ({uplift.interval.low:+.2f} to {uplift.interval.high:+.2f})"


def changed(older: Item, newer: Item) -> Iterator[str]:
    """Return the lines of a diff between two versions."""
    before, after = (skill_md.export(item)["SKILL.md"].splitlines() for item in (older, newer))
    was, now = (f"version {item.version}" for item in (older, newer))
    return unified_diff(before, after, was, now, lineterm="")
