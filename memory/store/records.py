"""What the store keeps beside whole episodes, as frozen values.

An episode weighs kilobytes; whoever lists or filters needs only its row.
"""

from dataclasses import dataclass
from datetime import datetime

from environments.episode import Ending, Episode, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A batch of episodes asked for at once, which can be resumed."""

    id: str
    environment: str
    split: Split
    policy: str
    seed: int  # fits 64 bits, signed
    episodes: int  # asked for; how many are there is counted, not stored
    started: datetime
    settings: str  # JSON, the caller's: all that is needed to go on
    finished: datetime | None = None  # None: it can be resumed


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """One line of a listing."""

    id: str
    run: str  # empty: none
    task_id: str
    environment: str
    split: Split
    kind: str
    goal: str
    ending: Ending
    policy: str
    steps: int
    reward: float
    prompt_tokens: int
    completion_tokens: int
    started: datetime
    seconds: float


def row_of(episode: Episode) -> EpisodeRow:
    """Return the line that stands for an episode in a listing."""
    return EpisodeRow(
        id=episode.id,
        run=episode.run,
        task_id=episode.task.id,
        environment=episode.task.environment,
        split=episode.task.split,
        kind=episode.task.kind,
        goal=episode.task.goal.replace("\0", "\N{SYMBOL FOR NULL}"),  # PostgreSQL keeps no NUL
        ending=episode.ending,
        policy=episode.policy,
        steps=len(episode.steps),
        reward=episode.reward,
        prompt_tokens=episode.prompt_tokens,
        completion_tokens=episode.completion_tokens,
        started=episode.started,
        seconds=episode.seconds,
    )
