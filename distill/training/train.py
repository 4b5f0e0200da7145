"""The loop: work in, better weights out, watched, and stopped in time.

Knows neither episodes nor environments: all that it is given is numbers already.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean
from typing import TYPE_CHECKING, Protocol, cast

import torch

from distill.models.student import OutOfMemoryError, Student, Trained
from distill.objectives.divergence import k3
from distill.objectives.objective import Objective
from distill.sequences.batch import Source
from distill.sequences.collate import Work, fed
from distill.training.rails import Rails, Vitals, alarm, canary_alarm
from distill.training.team import ALONE, Team

if TYPE_CHECKING:
    from torch import Tensor

RATES = {Trained.FULL: 1e-4, Trained.LORA: 3e-4}
"""Learning rates of practice; of all weights, half as much again is stopped by the rails
(python -m bench.learn_small)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the optimizer moves."""

    rate: float  # learning rate once warm
    warmup: int = 5  # steps
    until: int = 0  # the step at which the rate has fallen to 0, in a line; 0: it never falls
    decay: float = 0.0  # of weights: towards 0, which is not where the base model is
    betas: tuple[float, float] = (0.9, 0.98)  # 0.999 would look back further than a run is long
    clip: float = 1.0  # largest norm of a step's gradient
    part_tokens: int = 4096  # computed at once: memory grows with it, the result does not change

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, the first being 1.

        >>> [Pace(rate=1.0, warmup=2, until=4).rate_at(step) for step in range(1, 5)]
        [0.5, 0.75, 0.5, 0.25]
        """
        left = max(0.0, 1 - (step - 1) / self.until) if self.until else 1.0
        return self.rate * min(1.0, step / max(1, self.warmup), left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step as it looks from outside."""

    step: int  # from 1
    of: int | None  # steps planned; None: nobody knows
    vitals: Vitals
    reward: float  # mean over the attempts; NaN without any
    tokens_per_s: float
    remaining_s: float | None  # at the pace so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the rails have seen so far: with it a killed training goes on as if it had not been."""

    history: tuple[Vitals, ...] = ()  # one for each step taken
    before: float | None = None  # what the canaries scored before the first step; None: not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    steps: int  # those before a kill included
    tokens: int  # learned from since the last kill
    alarm: str | None  # why it was stopped and the last good weights restored; None: it was not


RAILS = Rails()

NOTHING_YET = Past()

Watch = Callable[[Progress], None]


class ScalarWriter(Protocol):
    """TensorBoard's `SummaryWriter`, or whatever takes numbers as it does."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object: ...


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the student said of a part of a step, for the record."""

    at: int  # which part
    loss: float
    logp_D: Tensor
    entropy_D: Tensor


class Training:
    """A student with its optimizer, at some step: what a checkpoint keeps."""

    def __init__(self, student: Student, pace: Pace, team: Team = ALONE) -> None:
        self.student = student
        self.pace = pace
        self.team = team
        self.step = 0
        self.optimizer = torch.optim.AdamW(
            student.weights.values(),
            lr=pace.rate,
            betas=pace.betas,
            weight_decay=pace.decay,
            fused=True,  # one pass over the moments instead of twelve
        )

    def learn(self, work: Work, objective: Objective) -> Vitals:
        """Take one step; none, if its gradient is not finite."""
        heard = self._accumulate(work, objective)
        self._add_up()
        norm = torch.nn.utils.clip_grad_norm_(self.student.weights.values(), self.pace.clip)
        if torch.isfinite(norm):
            self.step += 1
            for group in self.optimizer.param_groups:
                group["lr"] = self.pace.rate_at(self.step)
            self.optimizer.step()
            self.student.publish()
        self.optimizer.zero_grad(set_to_none=True)
        return _vitals(work, float(norm), heard)

    def _accumulate(self, work: Work, objective: Objective) -> list[_Heard]:
        """Collect the gradients of this process's share; return what all of them heard."""
        tokens = min(self.pace.part_tokens, -(-work.tokens // self.team.size))
        heard: list[_Heard] = []
        for at, part in enumerate(work.parts(tokens)):
            if at % self.team.size != self.team.rank:
                continue
            with _memory(part.tokens):
                said = self.student.speak(part)
                loss = objective(said.logprobs, part.batch)
                if loss.requires_grad:  # else no row of this part counts in any term
                    cast("Callable[[], None]", loss.backward)()
            heard.append(_Heard(at, float(loss.detach()), said.logp_D.cpu(), said.entropy_D.cpu()))
        return sorted(self.team.gathered(heard), key=lambda each: each.at)

    def _add_up(self) -> None:
        """Give every process the gradients of all."""
        if self.team.size == 1:
            return
        weights = self.student.weights.values()
        ours = any(weight.grad is not None for weight in weights)
        if not self.team.added(torch.tensor(float(ours), device=self.student.device)):
            return
        for weight in weights:
            given = torch.zeros_like(weight) if weight.grad is None else weight.grad
            weight.grad = self.team.added(given)


def train(  # noqa: PLR0913 - all that a training needs, each by its name
    training: Training,
    works: Iterable[Work],
    objective: Objective,
    *,
    clock: Callable[[], float],
    of: int | None = None,
    rails: Rails = RAILS,
    canary: Callable[[], float] | None = None,
    watch: Watch | None = None,
    past: Past = NOTHING_YET,
    keep: Callable[[Past], object] | None = None,
) -> Outcome:
    """Take a step for each work, until there is none or something goes wrong.

    Args:
        training: where it stands; it is moved.
        works: one for each step.
        objective: what to minimize.
        clock: seconds, from any origin.
        of: how many works there are, to foresee the end.
        rails: when to stop and go back to the last good weights.
        canary: the share of long mastered tasks that are still solved.
        watch: told of every step.
        past: what `keep` was told last, if the training goes on from there.
        keep: called whenever a state was found good, to keep it.
    """
    guard = _Guard(training, rails, canary, past)
    began, tokens, first = clock(), 0, len(past.history)
    steps = first
    for steps, work in enumerate(works, first + 1):
        vitals = training.learn(work, objective)
        tokens += work.tokens
        reason = guard.reason(vitals, steps)
        if watch is not None:
            pace = (steps - first, tokens, clock() - began)
            watch(_progress(work, vitals, (steps, of), pace))
        if reason is not None:
            training.student.load(guard.good)
            return Outcome(steps=steps, tokens=tokens, alarm=reason)
        if keep is not None and steps % rails.every == 0:
            keep(guard.past)
    return Outcome(steps=steps, tokens=tokens, alarm=None)


def scalars(writer: ScalarWriter) -> Watch:
    """Return a watch that writes the curves where TensorBoard reads them."""

    def write(progress: Progress) -> None:
        for name, value in measured(progress).items():
            writer.add_scalar(name, value, progress.step)

    return write


def measured(progress: Progress) -> dict[str, float]:
    """Return the numbers of one step by the names of their curves, those that are known."""
    vitals = progress.vitals
    curves = {
        "loss": vitals.loss,
        "reward": progress.reward,
        "entropy": vitals.entropy,
        "kl": vitals.kl,
        "gradient": vitals.gradient,
        "length": vitals.length,
        "tokens_per_s": progress.tokens_per_s,
    }
    return {f"train/{name}": value for name, value in curves.items() if isfinite(value)}


class _Guard:
    """Remembers the last good weights and every step's vitals."""

    def __init__(
        self, training: Training, rails: Rails, canary: Callable[[], float] | None, past: Past
    ) -> None:
        self._training, self._rails, self._canary = training, rails, canary
        self._before = past.before
        if canary is not None and past.before is None:
            self._before = canary()
        self._history = list(past.history)
        self.good = training.student.copy()

    @property
    def past(self) -> Past:
        return Past(history=tuple(self._history), before=self._before)

    def reason(self, vitals: Vitals, step: int) -> str | None:
        self._history.append(vitals)
        reason = alarm(self._rails, self._history)
        if reason is None and step % self._rails.every == 0:
            if self._canary is not None and self._before is not None:
                reason = canary_alarm(self._rails, self._before, self._canary())
            if reason is None:
                self.good = self._training.student.copy()
        return reason


def _vitals(work: Work, norm: float, heard: list[_Heard]) -> Vitals:
    batch = work.batch
    logp_D = torch.cat([each.logp_D for each in heard])
    entropy_D = torch.cat([each.entropy_D for each in heard])
    own_BT = (batch.source_B == Source.ROLLOUT)[:, None].expand_as(batch.mask_BT)
    own_D = own_BT[batch.mask_BT].cpu()
    drift_D = k3(batch.sampled_logp_BT[batch.mask_BT].cpu(), logp_D)  # KL(who acted || who learns)
    lengths = [fed(r.encoded) for r in work.rows if r.encoded.source is Source.ROLLOUT]
    return Vitals(
        loss=sum(each.loss for each in heard),
        gradient=norm,
        entropy=_mean(entropy_D[own_D]),
        kl=_mean(drift_D[own_D]),
        length=fmean(lengths) if lengths else nan,
    )


def _mean(value_D: Tensor) -> float:
    return float(value_D.mean()) if len(value_D) else nan


def _progress(
    work: Work, vitals: Vitals, place: tuple[int, int | None], pace: tuple[int, int, float]
) -> Progress:
    (step, of), (taken, tokens, seconds) = place, pace
    rewards = [r.reward for r in work.rows if r.encoded.source is Source.ROLLOUT]
    return Progress(
        step=step,
        of=of,
        vitals=vitals,
        reward=fmean(rewards) if rewards else nan,
        tokens_per_s=tokens / seconds if seconds > 0 else nan,
        remaining_s=None if of is None else seconds / taken * (of - step),
    )


@contextmanager
def _memory(tokens: int) -> Generator[None]:
    """Say which setting to change when memory is out."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(tokens) from error
    except RuntimeError as error:  # torch: its own on a GPU, a plain one on a CPU
        out = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not out:
            raise
        raise OutOfMemoryError(tokens) from error
