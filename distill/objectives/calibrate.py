"""Pay for the right answer and for knowing how likely it is right.

RLCR (Damani et al. 2025, arXiv:2507.16806): the policy states a confidence q in its text, and

    reward = w_a correct + w_b score(q, correct),  0 where no confidence is stated.

A proper score is best at the true success rate p, where it pays G(p) on average. A better answer
must never pay less, so w_a + w_b G'(p) >= 0 for every p. The Brier score has G' >= -1, whence
w_a >= w_b. The logarithmic score has G'(0) = -inf: under it a deliberately wrong answer with q = 0
beats any answer with 0 < p < 0.648, so only bounded scores are here.

Deviation: the authors weigh both 0.5, where the value of a calibrated answer is p^2 / 2 and hard
tasks (p near 0) have almost no incentive left. At 1 and 0.5 its slope is at least 0.5 everywhere.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from environments.errors import UserError

CONFIDENCE = re.compile(r"<confidence>(.*?)</confidence>", re.DOTALL)
DECIMAL = re.compile(r"\d+\.?\d*|\.\d+")
PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """A proper score between 0 and 1 of a stated probability."""

    name: str
    score: Callable[[Tensor, Tensor], Tensor]  # (stated, correct) -> score
    steepest_fall: float  # the largest -G'(p); infinite for the logarithmic score


def _brier(stated_B: Tensor, correct_B: Tensor) -> Tensor:
    return 1 - (stated_B - correct_B) ** 2


def _spherical(stated_B: Tensor, correct_B: Tensor) -> Tensor:
    said_of_outcome_B = correct_B * stated_B + (1 - correct_B) * (1 - stated_B)
    return said_of_outcome_B / (stated_B**2 + (1 - stated_B) ** 2).sqrt()


BRIER = ScoringRule("Brier", _brier, steepest_fall=1.0)
SPHERICAL = ScoringRule("spherical", _spherical, steepest_fall=1.0)


class CalibrationWeightsError(UserError, ValueError):
    """Weights under which a worse answer could pay more."""

    def __init__(self, accuracy: float, score: float, rule: ScoringRule) -> None:
        super().__init__(
            f"accuracy weight {accuracy} with {rule.name} weight {score}: answering wrong could "
            f"pay more; take a {rule.name} weight from 0 to {accuracy / rule.steepest_fall}"
        )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The reward; weights that could make a worse answer pay more cannot be built."""

    accuracy: float = 1.0
    score: float = 0.5
    rule: ScoringRule = BRIER

    def __post_init__(self) -> None:
        if not 0 <= self.score * self.rule.steepest_fall <= self.accuracy:
            raise CalibrationWeightsError(self.accuracy, self.score, self.rule)

    def __call__(self, correct_B: Tensor, stated_B: Tensor) -> Tensor:
        """Return the reward; NaN in `stated_B` means that no confidence was stated.

        The score is between 0 and 1 rather than a penalty, so stating nothing is never the way out.
        """
        reward_B = self.accuracy * correct_B + self.score * self.rule.score(stated_B, correct_B)
        return torch.where(stated_B.isnan(), 0, reward_B)


def stated_confidence(text: str) -> float | None:
    """Return the last stated confidence if it is a decimal in [0, 1], else None: for training.

    >>> stated_confidence("<confidence>.9</confidence>"), stated_confidence("90")
    (0.9, None)
    """
    number = _last_number(text)
    return number if number is not None and number <= 1 else None


def lenient_confidence(text: str) -> float:
    """Return the last stated confidence, per cents divided by 100, else 0: for evaluation.

    >>> lenient_confidence("<confidence>90</confidence>")
    0.9
    """
    number = _last_number(text)
    if number is None or number > PERCENT:
        return 0.0
    return number if number <= 1 else number / PERCENT


def _last_number(text: str) -> float | None:
    found = CONFIDENCE.findall(text)
    stated = found[-1].strip() if found else ""
    return float(stated) if DECIMAL.fullmatch(stated) else None
