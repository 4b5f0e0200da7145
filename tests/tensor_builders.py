"""Small exact batches: where every outcome is a row, a mean is an expectation."""

from typing import Any

import torch
from torch import Tensor

from distill.sequences.batch import Batch, Source, Targets

FLOAT = torch.float64


def randn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=FLOAT) * scale


def distribution(size: int, *, seed: int, scale: float = 1.0) -> Tensor:
    """Log-probabilities of some distribution."""
    return torch.log_softmax(randn(size, seed=seed, scale=scale), -1)


def gradient(loss: Tensor, wrt: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(loss, wrt, retain_graph=True)
    return slope


def assert_close(ours: Any, expected: Any, **tolerance: Any) -> None:
    torch.testing.assert_close(
        torch.as_tensor(ours).detach(),
        torch.as_tensor(expected, dtype=FLOAT).detach(),
        **tolerance,
    )


def a_batch(sampled_logp_BT: Tensor, **changes: Any) -> Batch:
    """Rollouts in groups of two, every token decided, advantages 0."""
    rows, _ = sampled_logp_BT.shape
    plain: dict[str, Any] = {
        "tokens_BT": torch.zeros(sampled_logp_BT.shape, dtype=torch.long),
        "mask_BT": torch.ones(sampled_logp_BT.shape, dtype=torch.bool),
        "sampled_logp_BT": sampled_logp_BT.detach(),
        "advantage_BT": torch.zeros(sampled_logp_BT.shape, dtype=FLOAT),
        "group_B": torch.arange(rows) // 2,
        "source_B": torch.full((rows,), Source.ROLLOUT),
        "weight_B": torch.ones(rows, dtype=FLOAT),
    }
    return Batch(**{**plain, **changes})


def each_token(old_V: Tensor, **changes: Any) -> Batch:
    """One row per token of the vocabulary, weighed by its probability under the policy that acted.

    The mean over this batch is the expectation over that policy, without any sampling.
    """
    column = old_V.detach().unsqueeze(1)
    vocabulary = torch.arange(len(old_V)).unsqueeze(1)
    return a_batch(column, tokens_BT=vocabulary, weight_B=old_V.detach().exp(), **changes)


def whole_vocabulary(model_V: Tensor, old_V: Tensor | None = None) -> Targets:
    """What a model says at each row of `each_token`: the same distribution, row after row."""
    size = len(model_V)
    return Targets(
        known_BT=torch.ones(size, 1, dtype=torch.bool),
        logp_BT=model_V.detach().unsqueeze(1),
        logp_NK=model_V.detach().expand(size, size),
        sampled_logp_NK=None if old_V is None else old_V.detach().expand(size, size),
    )
