"""What an objective is given: one padded batch of numbers, and what the policy says about it.

Everything that is not mathematics (episodes, prompts, which teacher, which hint) has become a
tensor here, so an objective can be tested against enumeration and a trainer can feed any of them.

Shape suffixes, here and in all objectives: B sequences, T token positions, G groups, K kept
tokens, N the positions that some mask selects, row by row (the order of `x_BT[mask_BT]`).
Position t speaks of token t given the tokens before it; log-probabilities are in nats.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from torch import Tensor

from environments.errors import UserError


class Source(IntEnum):
    """Where a sequence comes from."""

    ROLLOUT = 0  # the policy's own attempt
    REFINEMENT = 1  # its attempt after a critique, scored under the original prompt
    DEMONSTRATION = 2  # recorded; nobody's log-probabilities are known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """What another model (a teacher, a reference) says at the positions where it was asked.

    A position it says nothing about is absent from `known_BT`; its numbers are never read, so
    they need no padding value. The N axis lists the known positions, and nothing else.
    """

    known_BT: Tensor  # bool
    logp_BT: Tensor  # of the tokens taken
    logp_NK: Tensor | None = None  # of the kept tokens; None: only the tokens taken are known
    ids_NK: Tensor | None = None  # the kept tokens; None: the whole vocabulary, in its order
    sampled_logp_NK: Tensor | None = None  # of the same tokens, under the policy that acted

    def __post_init__(self) -> None:
        known = int(self.known_BT.sum())
        for name in ("logp_NK", "ids_NK", "sampled_logp_NK"):
            wide_NK: Tensor | None = getattr(self, name)
            if wide_NK is not None and len(wide_NK) != known:
                raise ValueError(f"{name} has {len(wide_NK)} rows for {known} known positions")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some sequences of one optimizer step, with all that does not change while it is taken.

    An unknown number is NaN, never 0: an objective that should not have asked for it says so at
    once. `distill.objectives.objective.only` keeps each term to the sequences it is for.
    """

    tokens_BT: Tensor  # int64
    mask_BT: Tensor  # bool: the policy decided this token
    sampled_logp_BT: Tensor  # under the policy that acted; NaN where nobody sampled
    advantage_BT: Tensor
    group_B: Tensor  # int64 from 0: attempts at the same task share a number
    source_B: Tensor  # int64, a Source
    weight_B: Tensor  # 0: counts nowhere; 1 / (its decided tokens): a mean of sequence means
    teacher: Targets | None = None
    reference: Targets | None = None
    step: "Batch | None" = None  # means are taken over this one; None: over the batch itself

    def __post_init__(self) -> None:
        for name in ("mask_BT", "sampled_logp_BT", "advantage_BT"):
            self._same_shape(name, self.tokens_BT.shape)
        for name in ("group_B", "source_B", "weight_B"):
            self._same_shape(name, self.tokens_BT.shape[:1])

    def _same_shape(self, name: str, shape: tuple[int, ...]) -> None:
        given: Tensor = getattr(self, name)
        if given.shape != shape:
            raise ValueError(f"{name} is {tuple(given.shape)}, the tokens want {tuple(shape)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logprobs:
    """What the policy in training says about a batch; the only thing gradients flow into."""

    taken_BT: Tensor  # of the tokens of the batch
    teacher_NK: Tensor | None = None  # of the tokens that `batch.teacher` keeps
    reference_NK: Tensor | None = None  # of the tokens that `batch.reference` keeps


class MissingScoresError(UserError, ValueError):
    """An objective was given a batch without the numbers it is made of."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"this objective needs {what}, the batch has none; "
            "have the batch scored by that model, or leave the term out"
        )


def need(tensor: Tensor | None, what: str) -> Tensor:
    """Return the tensor, or say what is missing."""
    if tensor is None:
        raise MissingScoresError(what)
    return tensor


def everywhere(change: Callable[[Batch], Batch], batch: Batch) -> Batch:
    """Return the batch changed, and the step it belongs to changed alike, so means stay right."""
    changed = change(batch)
    return changed if batch.step is None else replace(changed, step=change(batch.step))


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Return rows `start` to `stop` as a part of the same step.

    The losses of the parts add up to the loss of the whole, whatever their lengths: this is how
    gradients accumulate over parts that fit in memory. A part that is an optimizer step of its
    own (a minibatch) is `replace(cut(batch, start, stop), step=None)`.
    """
    rows = slice(start, stop)
    return replace(
        batch,
        tokens_BT=batch.tokens_BT[rows],
        mask_BT=batch.mask_BT[rows],
        sampled_logp_BT=batch.sampled_logp_BT[rows],
        advantage_BT=batch.advantage_BT[rows],
        group_B=batch.group_B[rows],
        source_B=batch.source_B[rows],
        weight_B=batch.weight_B[rows],
        teacher=_cut(batch.teacher, start, stop),
        reference=_cut(batch.reference, start, stop),
        step=batch.step or batch,
    )


def _cut(targets: Targets | None, start: int, stop: int) -> Targets | None:
    if targets is None:
        return None
    before = int(targets.known_BT[:start].sum())
    rows = slice(before, before + int(targets.known_BT[start:stop].sum()))

    def wide(tensor_NK: Tensor | None) -> Tensor | None:
        return None if tensor_NK is None else tensor_NK[rows]

    return Targets(
        known_BT=targets.known_BT[start:stop],
        logp_BT=targets.logp_BT[start:stop],
        logp_NK=wide(targets.logp_NK),
        ids_NK=wide(targets.ids_NK),
        sampled_logp_NK=wide(targets.sampled_logp_NK),
    )
