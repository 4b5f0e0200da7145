"""What others did at their own tasks, as episodes: all that they tell is one turn and its end.

Their worlds are not ours, so nothing here can be replayed; and that it was solved is their word.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import uuid4

from environments.episode import Completion, Ending, Episode, Split, Step, Task

ID_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How someone else's task went."""

    task: str  # what was asked for, in their words
    kind: str  # the task type; empty: none
    solved: bool
    said: str  # what they did, in their words; may be empty
    by: str  # through which window they told it


def attempt_of(outcome: Outcome, environment: str, *, at: datetime) -> Episode:
    """Return the episode of someone else's attempt."""
    step = Step(observation=outcome.task, completion=Completion(text=outcome.said), action=None)
    return Episode(
        id=new_id(),
        task=outside_task(outcome.task, outcome.kind, environment),
        steps=(step,),
        ending=Ending.SOLVED if outcome.solved else Ending.FAILED,
        policy=outcome.by,
        seed=0,
        started=at,
        seconds=0.0,
    )


def outside_task(words: str, kind: str, environment: str) -> Task:
    """Return a task that is known by its words alone."""
    digest = blake2b(words.encode(errors="replace"), digest_size=ID_BYTES).hexdigest()
    return Task(
        id=f"outside/{digest}",
        environment=environment,
        split=Split.TRAIN,
        kind=kind or "outside",
        goal=words,
    )


def new_id() -> str:
    """Return an id that no episode has."""
    return uuid4().hex[: 2 * ID_BYTES]
