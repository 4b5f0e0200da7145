"""What memory holds, as frozen values: demonstrations, lessons, skills, and the critiques behind.

Each says where it came from. A source can only be made from an episode of a train task, so nothing
derived from a held-out one can even be written down.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self, TypeAlias

from environments.anchor import Anchor
from environments.episode import Ending, Episode, Split


class HeldOutError(ValueError):
    """Something would have been learned from a task kept for the exam."""


class Standing(StrEnum):
    """How far an item has come."""

    CANDIDATE = "candidate"  # recorded, not yet shown to an agent outside of its trial
    ACTIVE = "active"  # earned its place
    RETIRED = "retired"  # harmed, never helped, was superseded or internalised; kept for lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an item came from. Made by `of`, which refuses what must not be learned from."""

    episodes: tuple[str, ...]
    policy: str  # who acted; several are joined with a comma
    critic: str  # who judged or abstracted; empty: no model did
    anchor: Anchor  # what the judgment rests on
    made: datetime

    @classmethod
    def of(cls, *episodes: Episode, critic: str = "", anchor: Anchor, made: datetime) -> Self:
        """Return the source of an item derived from these episodes.

        Raises:
            HeldOutError: one of them is not of a train task.
            ValueError: there is none, or one is broken, which teaches nothing.
        """
        if not episodes:
            raise ValueError("an item must come from at least one episode")
        for episode in episodes:
            if episode.task.split is not Split.TRAIN:
                raise HeldOutError(f"episode {episode.id} is of a {episode.task.split} task")
            if episode.ending is Ending.BROKEN:
                raise ValueError(f"episode {episode.id} is broken; it teaches nothing")
        return cls(
            episodes=tuple(episode.id for episode in episodes),
            policy=", ".join(sorted({episode.policy for episode in episodes})),
            critic=critic,
            anchor=anchor,
            made=made,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What a critique rests on: words that were really observed, and where."""

    step: int  # counted from 0; len(steps) means the closing observation
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique:
    """What a critic said of one episode, through its three channels."""

    id: str = ""  # empty: not in a bank yet, which gives the id
    episode: str
    score: int  # evaluative: the majority of the votes, -1, 0 or +1; ties are 0
    votes: tuple[int, ...]
    hint: str  # directive: what to do differently, at most three sentences; empty: none
    citations: tuple[Citation, ...]
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One step of a demonstration, with the instance numbers the replay needs."""

    observation: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A solved episode, pruned to the moves that mattered."""

    id: str = ""  # empty: not in a bank yet, which gives the id
    version: int = 1
    standing: Standing = Standing.CANDIDATE
    environment: str
    kind: str  # the task type
    task: str  # the id of the task it solves
    goal: str
    situation: str  # what it is found by: instance numbers abstracted
    moves: tuple[Move, ...]
    replayed: bool  # whether the pruned moves were acted again and solved the task
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Advice abstracted from failures."""

    id: str = ""  # empty: not in a bank yet, which gives the id
    version: int = 1
    standing: Standing = Standing.CANDIDATE
    environment: str
    kind: str  # the task type; empty: general
    when: str  # when it applies
    fault: str  # what goes wrong
    why: str
    instead: str  # what to do
    unless: str  # when NOT to follow it; empty: not known
    critique: str  # the id of the critique it was abstracted from; empty: several, see the source
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A named procedure with parameters, induced from several demonstrations."""

    id: str = ""  # empty: not in a bank yet, which gives the id
    version: int = 1
    standing: Standing = Standing.CANDIDATE
    environment: str
    kind: str  # the task type; empty: general
    name: str  # 1 to 64 lower-case letters, digits and single hyphens, as SKILL.md wants it
    purpose: str  # what it does and when to use it
    parameters: tuple[str, ...]  # placeholders that occur in the procedure, such as "object"
    precondition: str
    procedure: tuple[str, ...]  # actions with placeholders, such as "take {object} from {place}"
    demonstrations: tuple[str, ...]  # the ids of those it was induced from
    source: Source


Item: TypeAlias = Demonstration | Lesson | Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """One item recalled for one episode, and what the lot decided."""

    item: str
    version: int
    episode: str
    run: str = ""  # empty: none
    shown: bool  # False: left out by lot
    propensity: float  # chance with which the lot would show it; 1: no lot was drawn
    at: datetime

    def __post_init__(self) -> None:
        if not 0 < self.propensity <= 1 or (self.propensity == 1 and not self.shown):
            raise ValueError(f"shown={self.shown} at propensity {self.propensity!r} of {self.item}")


def text_of(item: Item) -> str:
    """Return the words that an item is found by, one part a line."""
    match item:
        case Demonstration():
            parts = (item.goal, item.situation)
        case Lesson():
            parts = (item.when, item.fault, item.instead)
        case Skill():
            parts = (item.name, item.purpose, item.precondition)
    return "\n".join(part for part in parts if part)
