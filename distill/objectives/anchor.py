"""Stay near a reference while doing something else: an objective plus weight times KL(pi || ref).

What is added has the gradient of that KL. GRPO's k3 penalty has not: its expected gradient is that
of KL(ref || pi), see `distill.objectives.divergence.k3`.
"""

from torch import Tensor

from distill.objectives.divergence import k2, reverse_kl
from distill.objectives.match import matched, reference
from distill.objectives.objective import (
    IMPORTANCE_CAP,
    Objective,
    combined,
    importance,
    log_ratio,
    mean,
)
from distill.sequences.batch import Batch, Logprobs


def anchored(objective: Objective, *, weight: float, cap: float = IMPORTANCE_CAP) -> Objective:
    """Return the objective with an anchor estimated from the tokens taken.

    weight * mean of min(pi/pi_old, cap) (log pi - log ref)^2 / 2, the importance weight constant:
    its expected gradient is that of the per-token KL even after updates, as long as no ratio
    exceeds the cap.
    """

    def sampled_kl(logprobs: Logprobs, batch: Batch) -> Tensor:
        at_BT = reference.heard(batch)
        penalty_N = k2(logprobs.taken_BT[at_BT], reference.of(batch).logp_BT[at_BT].detach())
        weight_N = importance(log_ratio(logprobs, batch, reference.heard), cap=cap)
        return mean(weight_N * penalty_N, batch, reference.heard)

    return combined((1.0, objective), (weight, sampled_kl))


def anchored_exactly(
    objective: Objective, *, weight: float, cap: float = IMPORTANCE_CAP
) -> Objective:
    """Return the objective with an anchor summed over the tokens that the reference keeps.

    No sampling noise at a position, at the price of the reference's whole vocabulary, or of its
    most likely tokens and one bucket for the others.
    """
    exact_kl = matched(lambda pair: pair.between(reverse_kl), reference, cap=cap)
    return combined((1.0, objective), (weight, exact_kl))
