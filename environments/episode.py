"""What happened, as frozen values: a task, the steps taken at it, and how it ended.

Everyone reads these and nobody changes them: memory stores them, distillation trains on them, the
command line prints them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isfinite


class Split(StrEnum):
    """What a task may be used for."""

    TRAIN = "train"  # practised, remembered, trained on
    DEV = "dev"  # decides what is adopted; never enters memory or a batch
    TEST = "test"  # only ever reported


class Ending(StrEnum):
    """How an episode ended."""

    SOLVED = "solved"  # the environment's own check says so
    FAILED = "failed"  # the environment ended it, unsolved
    TRUNCATED = "truncated"  # we stopped it: out of steps, tokens or time
    BROKEN = "broken"  # the environment or the policy crashed; teaches nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    id: str  # stable for ever; names the environment's data, not its place in a list
    environment: str
    split: Split
    kind: str  # the task type, such as "pick_heat_then_place_in_recep"
    goal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the policy wrote in one turn."""

    text: str
    token_ids: tuple[int, ...] = ()  # as sampled, never re-tokenised; empty: the policy tells none
    logprobs: tuple[float, ...] = ()  # nats, one per token, of the distribution sampled from
    prompt_tokens: int = 0
    completion_tokens: int = 0
    version: str = ""  # of the weights, as their server named them; empty: it did not

    def __post_init__(self) -> None:
        if self.logprobs and len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.logprobs)} logprobs for {len(self.token_ids)} tokens")
        if not all(map(isfinite, self.logprobs)):  # JSON cannot hold them, nor training use them
            raise ValueError("a logprob is infinite or not a number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    observation: str  # what the policy saw before it acted
    admissible: tuple[str, ...] = ()  # the actions it could choose from; empty: any text
    completion: Completion
    action: str | None  # None: the completion held no legal action
    reward: float = 0.0  # given by the environment for this action


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    id: str
    task: Task
    steps: tuple[Step, ...]
    ending: Ending
    closing: str = ""  # what the environment said after the last step
    policy: str  # the name of the policy that acted
    temperature: float | None = None  # None: the policy does not tell
    seed: int
    briefing: str = ""  # the words memory gave before the first step; empty: none
    started: datetime
    seconds: float
    run: str = ""  # the run it belongs to; empty: none
    error: str | None = field(default=None, repr=False)  # the traceback; None unless broken

    def __post_init__(self) -> None:
        if self.started.tzinfo is None:
            raise ValueError(f"episode {self.id} has a naive start time {self.started!r}")
        if (self.error is not None) != (self.ending is Ending.BROKEN):
            raise ValueError(f"episode {self.id} ended {self.ending} with error {self.error!r}")

    @property
    def solved(self) -> bool:
        return self.ending is Ending.SOLVED

    @property
    def reward(self) -> float:
        """Return the sum of the rewards of its steps."""
        return sum((step.reward for step in self.steps), 0.0)

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the legal actions taken, in order."""
        return tuple(step.action for step in self.steps if step.action is not None)

    @property
    def prompt_tokens(self) -> int:
        return sum(step.completion.prompt_tokens for step in self.steps)

    @property
    def completion_tokens(self) -> int:
        return sum(step.completion.completion_tokens for step in self.steps)
