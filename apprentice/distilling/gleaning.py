"""What searches of train tasks leave to be learned, gathered while they end and cut to size.

A task that is easy to search leaves more of everything, so everything is capped by task.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from agent.search.harvest import (
    Preference,
    Target,
    demonstrations,
    episode_of,
    failures,
    preferences,
    returns,
)
from agent.search.search import Search
from environments.episode import Episode

FOUND = "found"
"""What the run of branches is called, behind that of the attempts: they were not asked for."""

MARGIN = 0.5
"""Least distance of two means, of 2: less is mostly which of them was rolled out luckily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much is kept of one search."""

    demonstrations: int = 2
    failures: int = 1  # criticized, where there is a critic
    preferences: int = 8  # those whose sides lie farthest apart


@dataclass(slots=True)
class Gleaned:
    """What is to be learned of some searches."""

    caps: Caps = field(default_factory=Caps)
    solved: list[Episode] = field(default_factory=list[Episode])
    failed: list[Episode] = field(default_factory=list[Episode])
    preferred: list[Preference] = field(default_factory=list[Preference])
    targets: list[Target] = field(default_factory=list[Target])

    def take(self, search: Search, policy: str, now: datetime) -> None:
        """Gather from a search that ended; a held-out task leaves nothing."""
        ways = [episode_of(search, each.branch, policy, now) for each in search.solved]
        self.solved += demonstrations(ways, per_task=self.caps.demonstrations)
        self.failed += failures(search, policy, now, most=self.caps.failures)
        pairs = sorted(
            preferences(search, policy, now, margin=MARGIN), key=lambda each: -each.margin
        )
        self.preferred += pairs[: self.caps.preferences]
        self.targets += returns(search, policy, now)

    def branches(self, known: set[str]) -> list[Episode]:
        """Return the episodes that no attempt stands for, as a run of their own."""
        return [
            replace(each, run=f"{each.run}-{FOUND}")
            for each in (*self.solved, *self.failed)
            if each.id not in known
        ]
