"""What is about to be tried, and how far it may go: the arguments of one episode, as values.

The id, the seed and the briefing are decided before anything runs, so the same attempt made twice
is the same episode, and one that was killed can be told from one that is new.
"""

from dataclasses import dataclass

from environments.episode import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one task."""

    id: str  # the id its episode will have
    task: Task
    seed: int
    briefing: str = ""  # the words memory gives before the first step; empty: none
    run: str = ""  # the run it belongs to; empty: none


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where an episode is cut off, checked after each step; an episode that is cut is truncated."""

    steps: int = 30
    tokens: int | None = None  # prompt and completion tokens of all turns; None: any number
    seconds: float | None = None  # of wall time, pauses between sittings not counted; None: any
    repeat: bool | None = None  # an action where it was taken before; None: as the world has it

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"limits of {self.steps} steps; an episode has at least 1")
