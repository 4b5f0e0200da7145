"""Learn from a critique by becoming the policy that has read it.

The teacher is the same model, shown the feedback (a critique, a hint, a sibling's success) before
the same response; the response is the student's own, and the student never sees the feedback.
All of these descend one quantity, A(v) = log teacher(v) - log student(v), and differ in the tokens
they look at and in what they bound:

    distill                 every kept token, a divergence           SDPO, arXiv:2601.20802
    distill_renormalized    the same, blind to the tokens not kept   SDPO's code without the tail
    distill_taken           the sampled token                        SDPO, TRL's default
    hinted                  the sampled token, as an advantage       OpenClaw-RL, arXiv:2603.10165
    hinted_top_k            the kept tokens, clipped like PPO        its second version (README)

With the whole vocabulary, fresh samples and no bound, `distill(reverse_kl)` and `hinted_top_k` have
the same gradient. Alone they are the unstable arm of every paper that measured it; combine them
with a reward: `combined((0.9, reinforce(clipped())), (0.1, distill(reverse_kl)))` is the mix
advised for small models (SDPO: lambda = 0.9).

Deviations: the kept tokens are fixed when the batch is made (SDPO's code picks the student's
top-K anew at every update), and positions without a teacher are absent, where OpenClaw's code pads
log-probabilities with 0, which rewards them.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from distill.objectives.divergence import Divergence, finite, renormalized, sampled_reverse_kl
from distill.objectives.match import matched, teacher
from distill.objectives.objective import (
    IMPORTANCE_CAP,
    Objective,
    importance,
    log_ratio,
    mean,
)
from distill.objectives.reinforce import CLIP_HIGH, CLIP_LOW, clipped
from distill.sequences.batch import Batch, Logprobs

LOG_RATIO_CLIP = 1.0
"""Most that a hint may ask of one token, in nats (OpenClaw-RL: 1; 2 with verifiable rewards)."""


def distill(divergence: Divergence, *, cap: float = IMPORTANCE_CAP) -> Objective:
    """Return the divergence from the teacher, with a tail where it keeps only some tokens.

    SDPO uses `jensen_shannon(0.5)` when all it can show the teacher is a sibling's success, and
    `reverse_kl` with real feedback. `within(1.0, reverse_kl)` caps the log-ratio.
    """
    return matched(lambda pair: pair.between(divergence), teacher, cap=cap)


def distill_renormalized(divergence: Divergence, *, cap: float = IMPORTANCE_CAP) -> Objective:
    """Return the divergence of the two conditionals over the kept tokens: a different loss."""
    blind = renormalized(divergence)
    return matched(lambda pair: blind(pair.ours_NK, pair.theirs_NK), teacher, cap=cap)


def distill_taken(*, log_ratio_clip: float = math.inf, cap: float = IMPORTANCE_CAP) -> Objective:
    """Return the surrogate of the reverse KL that only needs the tokens taken."""

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        at_BT = teacher.heard(batch)
        ours_N, here_N = logprobs.taken_BT[at_BT], logprobs.taken_BT[at_BT].detach()
        gap_N = (teacher.of(batch).logp_BT[at_BT] - here_N).clamp(-log_ratio_clip, log_ratio_clip)
        weight_N = importance(log_ratio(logprobs, batch, teacher.heard), cap=cap)
        return mean(weight_N * sampled_reverse_kl(ours_N, here_N + gap_N), batch, teacher.heard)

    return objective


def hinted(
    objective: Objective, *, weight: float = 1.0, log_ratio_clip: float = LOG_RATIO_CLIP
) -> Objective:
    """Return the objective with advantages A + weight (log teacher - log pi_old).

    OpenClaw-RL's combined form, weight 1. Either signal may be missing: without a hint the
    advantage stays as it was, and a turn without a verdict enters with advantage 0. Deviation:
    the first version does not clip the log-ratio; here the clip of the second applies.
    """

    def with_hint(batch: Batch) -> Batch:
        gap_BT = teacher.of(batch).logp_BT.detach() - batch.sampled_logp_BT
        asked_BT = batch.advantage_BT + weight * gap_BT.clamp(-log_ratio_clip, log_ratio_clip)
        heard_BT = teacher.heard(batch)
        return replace(batch, advantage_BT=torch.where(heard_BT, asked_BT, batch.advantage_BT))

    return lambda logprobs, batch: objective(logprobs, with_hint(batch))


def hinted_top_k(
    *, log_ratio_clip: float = LOG_RATIO_CLIP, low: float = CLIP_LOW, high: float = CLIP_HIGH
) -> Objective:
    """Return PPO's clipped loss with one action per kept token.

    w = pi_old renormalized on the kept tokens, A = w clip(log teacher - log pi_old, +-C),
    rho = pi / pi_old: the sum over tokens of max(-A rho, -A clip(rho, 1 - low, 1 + high)).
    """
    surrogate = clipped(low, high)

    def objective(logprobs: Logprobs, batch: Batch) -> Tensor:
        pair = teacher.pair(logprobs, batch)
        old_NK = teacher.of(batch).sampled_logp_NK
        old_NK = finite(teacher.rows(old_NK, batch, "the policy that acted"))
        gap_NK = (finite(pair.theirs_NK) - old_NK).clamp(-log_ratio_clip, log_ratio_clip)
        advantage_NK = torch.softmax(old_NK, -1) * gap_NK
        loss_NK = surrogate(pair.ours_NK - old_NK, advantage_NK)
        return mean(loss_NK.sum(-1), batch, teacher.heard)

    return objective
