"""What was chosen to learn from, learned: encoded, told what a teacher says, trained on, kept.

One step's work is made when its turn comes, so memory holds one step, however long the study. A
study that is killed goes on from its last checkpoint and ends in the same bits: everything but the
weights, the moments and the position is computed anew from what was given.

The teacher is the student as it was when the study began, shown a hint: one that follows the
student diverges (SDPO, arXiv:2601.20802, table 4: 36.1 live, 48.8 frozen, 49.3 trailing), and over
the tens of steps of one study a trailing average hardly leaves its beginning. Between studies it
is as new as the student. The tokens compared are those the student finds likeliest at that step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from distill.sequences.collate import Chosen, Work, collate, rows_of
from distill.sequences.encode import Dropped, Encoder, Reason
from distill.teaching.teaching import taught
from distill.training.checkpoint import UnlikeError, resume, save
from distill.training.rails import Rails, Vitals
from distill.training.train import RAILS, Outcome, Past, Training, Watch, train

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from distill.objectives.presets import Preset


class Spent(StrEnum):
    """What was used up."""

    SECONDS = "time"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a study may use; no step begins beyond, sittings before a kill count too."""

    seconds: float | None = None  # None: any
    tokens: int | None = None  # None: any

    def spent(self, seconds: float, tokens: int) -> Spent | None:
        if self.seconds is not None and seconds >= self.seconds:
            return Spent.SECONDS
        return Spent.TOKENS if self.tokens is not None and tokens >= self.tokens else None


NO_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """What came of a study, sittings before a kill included."""

    outcome: Outcome
    dropped: Dropped
    samples: int  # sequences learned from, each time they were
    tokens: int
    seconds: float
    episodes: tuple[str, ...]  # whose sequences these are, each once, in order
    resumed_at: int = 0  # the step after which this sitting began
    spent: Spent | None = None  # which bound ended it; None: all was learned, or an alarm


@dataclass(slots=True)
class _Count:
    """How far a study has come."""

    at: int = 0  # steps given that were read
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    dropped: Dropped = field(default_factory=Counter[Reason])
    episodes: dict[str, None] = field(default_factory=dict[str, None])  # ordered
    spent: Spent | None = None


def study(  # noqa: PLR0913 - as `train`, each by its name
    training: Training,
    encoder: Encoder,
    steps: Sequence[Sequence[Chosen]],
    preset: Preset,
    *,
    clock: Callable[[], float],
    watch: Watch | None = None,
    checkpoints: Path | None = None,
    canary: Callable[[], float] | None = None,
    rails: Rails = RAILS,
    bounds: Bounds = NO_BOUNDS,
) -> Studied:
    """Learn what was chosen, one optimizer step for each step given.

    Args:
        training: as it was when the study began, also where it goes on; it is moved.
        encoder: reads episodes for the model in training.
        steps: those that nothing usable is left of are passed over.
        preset: the objective, and whether a teacher is asked.
        clock: seconds, from any origin.
        watch: told of every step.
        checkpoints: an empty folder, or that of the same study; None: nothing is kept. One is kept
            every `rails.every` steps: the state that the rails would go back to.
        canary: the share of long mastered tasks that are still solved.
        rails: when to stop and go back to the last good weights.
        bounds: where it ends early.

    Raises:
        UnlikeError: the folder holds the checkpoints of another study.
        HeldOutError: something that may only be examined was chosen.
    """
    teacher = training.student.copy() if preset.teaches else None  # before it goes on
    digest = _digest(steps)
    count, past = _found(training, checkpoints, digest)
    origin = clock() - count.seconds
    sitting = _Sitting(
        training=training, encoder=encoder, teacher=teacher, clock=clock, count=count, origin=origin
    )

    def keep(past: Past) -> None:
        if checkpoints is not None and training.team.rank == 0:
            save(checkpoints, training, {"steps": digest, **_noted(sitting.counted(), past)})

    outcome = train(
        training,
        sitting.works(steps, bounds),
        preset.objective,
        clock=clock,
        of=len(steps),
        rails=rails,
        canary=canary,
        watch=watch,
        past=past,
        keep=keep,
    )
    return _studied(sitting.counted(), outcome, resumed_at=len(past.history))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sitting:
    """What one sitting of a study works with."""

    training: Training
    encoder: Encoder
    teacher: Mapping[str, Tensor] | None  # None: none is asked
    clock: Callable[[], float]
    count: _Count  # sittings before a kill included
    origin: float  # what the clock would have shown had all sittings been one

    def counted(self) -> _Count:
        """Return how far it has come, by the time of now."""
        self.count.seconds = self.clock() - self.origin
        return self.count

    def works(self, steps: Sequence[Sequence[Chosen]], bounds: Bounds) -> Iterator[Work]:
        """Yield the work of each step that is left, until a bound is reached."""
        for step in steps[self.count.at :]:
            count = self.counted()
            count.spent = self.training.team.told(bounds.spent(count.seconds, count.tokens))
            if count.spent is not None:
                return
            work = self._work(step)
            if work is not None:
                yield work

    def _work(self, step: Sequence[Chosen]) -> Work | None:
        """Return the work of one step, counted; None: nothing of it can be learned from."""
        training, count = self.training, self.count
        rows, dropped = rows_of(self.encoder, step)
        count.at += 1
        count.dropped.update(dropped)
        if not rows:
            return None
        work = collate(rows, device=training.student.device)
        count.samples += len(rows)
        count.tokens += work.tokens
        count.episodes.update(dict.fromkeys(row.encoded.episode for row in rows))
        if self.teacher is None:
            return work
        part_tokens = training.pace.part_tokens
        return taught(training.student, work, part_tokens=part_tokens, weights=self.teacher)


def _studied(count: _Count, outcome: Outcome, *, resumed_at: int) -> Studied:
    return Studied(
        outcome=outcome,
        dropped=count.dropped,
        samples=count.samples,
        tokens=count.tokens,
        seconds=count.seconds,
        episodes=tuple(count.episodes),
        resumed_at=resumed_at,
        spent=count.spent,
    )


def _found(training: Training, checkpoints: Path | None, digest: str) -> tuple[_Count, Past]:
    """Bring the training to its last checkpoint, and return how far that was."""
    resumed = None if checkpoints is None else resume(checkpoints, training)
    if checkpoints is None or resumed is None:
        return _Count(), Past()
    note: Mapping[str, Any] = resumed.note
    if note.get("steps") != digest:
        raise UnlikeError(checkpoints, "steps", note.get("steps"), digest)
    dropped = Counter({Reason(reason): many for reason, many in note["dropped"].items()})
    count = _Count(**{name: note[name] for name in ("at", "samples", "tokens", "seconds")})
    count.dropped = dropped
    count.episodes = dict.fromkeys(note["episodes"])
    history = tuple(Vitals(**each) for each in note["history"])
    return count, Past(history=history, before=note["before"])


def _noted(count: _Count, past: Past) -> dict[str, Any]:
    """Return what a checkpoint must remember, as JSON knows it (and NaN, which Python's does)."""
    return {
        "at": count.at,
        "samples": count.samples,
        "tokens": count.tokens,
        "seconds": count.seconds,
        "dropped": {reason.value: many for reason, many in count.dropped.items()},
        "episodes": list(count.episodes),
        "history": [asdict(vitals) for vitals in past.history],
        "before": past.before,
    }


def _digest(steps: Sequence[Sequence[Chosen]]) -> str:
    """Return what tells these steps from others: which episodes, how read, worth what."""
    digest = blake2b(digest_size=16)
    for step in steps:
        for each in step:
            reading = each.reading
            said = (reading.episode.id, reading.source, reading.imitated, reading.briefed)
            worth = (reading.hint, each.group, each.advantage, each.weight)
            digest.update(repr((*said, *worth)).encode())
        digest.update(b"\n")
    return digest.hexdigest()
