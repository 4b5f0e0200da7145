"""How far the policy is from a teacher at one token, in nats: one core for every method.

A divergence takes two tensors of log-probabilities over the same tokens, the student's and the
teacher's, and returns one number per position. Variations are functions of a divergence:
`with_tail(reverse_kl)` compares the kept tokens and all the others as one, `within(1.0, ...)`
bounds what a single token may ask for. The teacher's side should carry no gradient.

Shape suffixes: N positions, K tokens (kept ones, or the whole vocabulary).
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Divergence: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(student_NK, teacher_NK) -> divergence_N"""

LOG_ZERO = -1e4
"""Stands for log 0 (nats), so that 0 log 0 is 0 with a gradient of 0; exp of it is exactly 0.

A token that only the teacher excludes costs 10,000 nats per unit of probability, not infinity.
"""


def reverse_kl(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
    """Return KL(student || teacher): the student gives up what the teacher would not say.

    Its gradient is a policy gradient with the advantage log teacher - log student at every token
    (SDPO, arXiv:2601.20802, proposition 2.1).
    """
    return _kl(student_NK, teacher_NK)


def forward_kl(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
    """Return KL(teacher || student): the student covers all that the teacher would say."""
    return _kl(teacher_NK, student_NK)


def jensen_shannon(alpha: float) -> Divergence:
    """Return (1 - alpha) KL(student || M) + alpha KL(teacher || M).

    M = (1 - alpha) student + alpha teacher (GKD, Agarwal et al. 2024, arXiv:2306.13649). The
    interior vanishes toward both ends, only its quotient by alpha or 1 - alpha tends to a KL; so 0
    means `forward_kl` and 1 `reverse_kl`, by definition and not by continuity (as in SDPO).
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, it must lie in [0, 1]")
    if alpha in (0, 1):
        return reverse_kl if alpha == 1 else forward_kl

    def interior(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
        mixture_NK = torch.logaddexp(
            finite(student_NK) + math.log(1 - alpha), finite(teacher_NK) + math.log(alpha)
        )
        toward_student_N = _kl(student_NK, mixture_NK)
        return torch.lerp(toward_student_N, _kl(teacher_NK, mixture_NK), alpha)

    return interior


def with_tail(divergence: Divergence) -> Divergence:
    """Return the divergence of the kept tokens and one bucket for all the others (SDPO, eq. 11).

    Never more than the divergence over the whole vocabulary, and equal to it when a single token
    was left out.
    """
    return lambda student_NK, teacher_NK: divergence(add_tail(student_NK), add_tail(teacher_NK))


def renormalized(divergence: Divergence) -> Divergence:
    """Return the divergence of the two conditionals, given that a kept token is taken.

    Not an approximation of the full divergence but another loss: it does not see how much mass
    lies outside (TRL's `distillation_add_tail=False`, its default). Prefer `with_tail`.
    """

    def conditional(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
        return divergence(
            torch.log_softmax(finite(student_NK), -1), torch.log_softmax(finite(teacher_NK), -1)
        )

    return conditional


def within(bound: float, divergence: Divergence) -> Divergence:
    """Return the divergence from a teacher that strays at most `bound` nats from the student.

    With `reverse_kl` the gradient is the policy gradient whose advantages are clipped to
    [-bound, bound], OpenClaw-RL's cap on the log-ratio. The clipped teacher is not a distribution:
    this is a loss, no longer a distance, and may be negative.
    """

    def bounded(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
        here_NK = finite(student_NK).detach()
        gap_NK = (finite(teacher_NK) - here_NK).clamp(-bound, bound)
        return divergence(student_NK, here_NK + gap_NK)

    return bounded


def sampled_reverse_kl(student_N: Tensor, teacher_N: Tensor) -> Tensor:
    """Return sg(log student - log teacher) log student of one token drawn from the student.

    Its expected gradient is that of `reverse_kl`; its value is not a divergence, and its variance
    is the highest of all variants here.
    """
    return (student_N - teacher_N).detach() * student_N


def k2(logp_N: Tensor, reference_N: Tensor) -> Tensor:
    """Return (log p - log r)^2 / 2 at tokens drawn from p: the anchor to use as a loss.

    Its expected gradient is that of KL(p || r) (Schulman 2020, joschu.net/blog/kl-approx.html).
    """
    return (logp_N - reference_N) ** 2 / 2


def k3(logp_N: Tensor, reference_N: Tensor) -> Tensor:
    """Return r/p - 1 - log(r/p) at tokens drawn from p: the anchor to read on a meter.

    Never negative, and its mean is KL(p || r); but its expected gradient is that of KL(r || p),
    so it is not a loss, though GRPO uses it as one.
    """
    log_ratio_N = reference_N - logp_N
    return torch.expm1(log_ratio_N) - log_ratio_N


def add_tail(logp_NK: Tensor) -> Tensor:
    """Return the log-probabilities with one more column, the mass of all tokens left out.

    That mass is at least the spacing of floating-point numbers at 1, or its logarithm would be
    minus infinity when nothing was left out (TRL and SDPO's code: 1e-7, whatever the precision).
    """
    kept_N1 = torch.logsumexp(finite(logp_NK), -1, keepdim=True)
    kept_N1 = kept_N1.clamp(max=-torch.finfo(logp_NK.dtype).eps)
    return torch.cat([logp_NK, torch.log(-torch.expm1(kept_N1))], -1)


def finite(logp_NK: Tensor) -> Tensor:
    """Return the log-probabilities with log 0 replaced by a number."""
    return logp_NK.clamp(min=LOG_ZERO)


def _kl(log_p_NK: Tensor, log_q_NK: Tensor) -> Tensor:
    log_p_NK, log_q_NK = finite(log_p_NK), finite(log_q_NK)
    return (log_p_NK.exp() * (log_p_NK - log_q_NK)).sum(-1)
