"""The journal: what was done to the bank, by whom, why and when.

It is the truth of which every other table of the bank is a view, so a bank can be made again from
it, and a mistake can be traced to whoever made it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from memory.knowledge.items import Standing

ITSELF = "apprentice"
"""Who did it when no person and no critic is named."""

USER = "user"
"""Who did it when a person decided. What a person retired is not tried again in better words."""


class Deed(StrEnum):
    """What an entry says was done."""

    ADDED = "added"  # a new item
    REVISED = "revised"  # a new version, with new words or fewer sources
    MERGED = "merged"  # a new version, with the sources of a near-duplicate
    SUPERSEDED = (
        "superseded"  # a new version, with the words and sources of a better near-duplicate
    )
    MOVED = "moved"  # a new standing
    CRITICIZED = "criticized"  # a critique, new or with fewer sources
    RECALLED = "recalled"  # items were recalled for an episode
    TAGGED = "tagged"  # a critic said which of them helped
    ANNOTATED = "annotated"  # a person scored, corrected or commented an episode
    REMOVED = "removed"  # an item or critique, because its last source was forgotten
    FORGOTTEN = "forgotten"  # an episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal."""

    seq: int = 0  # counts up from 1 without a gap; 0: not written yet
    at: datetime
    deed: Deed
    subject: str  # the id of an item, a critique or an episode
    version: int | None = None  # None: neither item nor critique
    standing: Standing | None = None  # after the deed; None: not an item
    by: str  # ITSELF, USER, the name of a critic, or how a person named themselves
    why: str = ""
    content: str | None = None  # JSON; None: there is none, or its episode was forgotten
