"""How far the engine that sampled is from the one that trains, on the same tokens.

The same weights give other numbers on another engine: other kernels, other roundings, another order
of sums. What the ratio of a policy gradient corrects for is the sum of this and of what was learned
since; measured before the first step, it is this alone.

Shape suffix: D decisions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.models.student import Student
from distill.objectives.divergence import k3
from distill.objectives.objective import IMPORTANCE_CAP
from distill.sequences.collate import Chosen, collate, rows_of
from distill.sequences.encode import Dropped, Encoder, Reading
from environments.episode import Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Of the log-probabilities of the tokens taken, in nats."""

    decisions: int
    mean: float  # of the absolute differences
    most: float  # of the absolute differences
    kl: float  # from the sampler to the trainer, per decision; see `mismatch`
    capped: float  # share of decisions whose weight the importance cap bounds

    @property
    def sentence(self) -> str:
        if not self.decisions:
            return "no decision was sampled, so nothing can be compared"
        return (
            f"{self.decisions} decisions: the trainer's logprobs differ by {self.mean:.2g} nats in "
            f"the mean and {self.most:.2g} at most, KL {self.kl:.2g}; "
            f"{self.capped:.2%} weigh more than {IMPORTANCE_CAP:g}"
        )


def mismatch(sampled_D: Tensor, trained_D: Tensor) -> Mismatch:
    """Return how two engines differ in what they say of the same tokens.

    The KL is Schulman's k3 (http://joschu.net/blog/kl-approx.html): its mean over tokens that the
    sampler drew is KL(sampler || trainer), and no term of it is negative. Of the likeliest tokens,
    which nobody drew, it is a distance and no KL.

    >>> mismatch(torch.tensor([-1.0, -2.0]), torch.tensor([-1.0, -1.0])).capped
    0.5
    """
    if not len(sampled_D):
        return Mismatch(decisions=0, mean=0.0, most=0.0, kl=0.0, capped=0.0)
    log_ratio_D = trained_D.double() - sampled_D.double()
    return Mismatch(
        decisions=len(log_ratio_D),
        mean=log_ratio_D.abs().mean().item(),
        most=log_ratio_D.abs().max().item(),
        kl=k3(sampled_D.double(), trained_D.double()).mean().item(),
        capped=(log_ratio_D.exp() > IMPORTANCE_CAP).double().mean().item(),
    )


@torch.no_grad()
def compared(
    student: Student, encoder: Encoder, episodes: Iterable[Episode], part_tokens: int
) -> tuple[Mismatch, Dropped]:
    """Return how the student's logprobs differ from those recorded, and what was not readable.

    Args:
        student: with the weights that acted.
        encoder: of the same model.
        episodes: of train tasks, as recorded.
        part_tokens: computed at once.
    """
    rows, dropped = rows_of(encoder, [Chosen(reading=Reading(episode=each)) for each in episodes])
    said: list[tuple[Tensor, Tensor]] = []
    for part in collate(rows).parts(part_tokens) if rows else ():
        batch = part.batch
        sampled_D = batch.sampled_logp_BT[batch.mask_BT].cpu()
        said.append((sampled_D, student.speak(part).logp_D.cpu()))
    return mismatch(*_joined(said)), dropped


def _joined(said: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    if not said:
        return torch.empty(0), torch.empty(0)
    sampled, trained = zip(*said, strict=True)
    return torch.cat(sampled), torch.cat(trained)
