"""Come closer to what another model says at the same positions: a divergence as an objective.

Whose words they are (a teacher that has read the critique, a reference that was never trained)
makes no difference to the mathematics.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from distill.objectives.divergence import Divergence, with_tail
from distill.objectives.objective import Objective, decided, importance, log_ratio, mean
from distill.sequences.batch import Batch, Logprobs, MissingScoresError, Targets, need


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What two models say of the same tokens at the same positions."""

    ours_NK: Tensor
    theirs_NK: Tensor
    whole: bool  # K is the whole vocabulary

    def between(self, divergence: Divergence) -> Tensor:
        """Return the divergence; tokens that were not kept count together, as one."""
        divergence = divergence if self.whole else with_tail(divergence)
        return divergence(self.ours_NK, self.theirs_NK)


@dataclass(frozen=True, slots=True)
class Other:
    """A model beside the one in training: where its words are, and ours about the same tokens."""

    name: str
    targets: Callable[[Batch], Targets | None]
    ours: Callable[[Logprobs], Tensor | None]

    def of(self, batch: Batch) -> Targets:
        targets = self.targets(batch)
        if targets is None:
            raise MissingScoresError(f"the log-probabilities of a {self.name}")
        return targets

    def heard(self, batch: Batch) -> Tensor:
        """Return the positions where the policy decided and this model's words are known."""
        return decided(batch) & self.of(batch).known_BT

    def rows(self, wide_NK: Tensor | None, batch: Batch, what: str) -> Tensor:
        """Return the rows of a tensor over the known positions that are also heard."""
        wanted = f"the {self.name}'s kept tokens, scored by {what}"
        return need(wide_NK, wanted)[decided(batch)[self.of(batch).known_BT]]

    def pair(self, logprobs: Logprobs, batch: Batch) -> Pair:
        targets = self.of(batch)
        return Pair(
            ours_NK=self.rows(self.ours(logprobs), batch, "the policy in training"),
            theirs_NK=self.rows(targets.logp_NK, batch, f"the {self.name}").detach(),
            whole=targets.ids_NK is None,
        )


teacher = Other("teacher", lambda batch: batch.teacher, lambda logprobs: logprobs.teacher_NK)
reference = Other(
    "reference", lambda batch: batch.reference, lambda logprobs: logprobs.reference_NK
)


def matched(compare: Callable[[Pair], Tensor], other: Other, *, cap: float) -> Objective:
    """Return the mean of a comparison with another model, at positions the policy came to.

    Each position weighs min(pi/pi_old, cap) of the token taken there, as a constant.
    """

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        loss_N = compare(other.pair(logprobs, batch))
        weight_N = importance(log_ratio(logprobs, batch, other.heard), cap=cap)
        return mean(weight_N * loss_N, batch, other.heard)

    return objective
