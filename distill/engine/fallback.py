"""Transcripts through a model's own forward pass, one after another: for any architecture.

The slow way that is always right. It stands where the lanes stand, so that sampling, recording
and scheduling are the same code for every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from distill.engine.lanes import Feed

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache, PreTrainedModel


class Transcripts:
    """A transformers cache per lane. What stands for a hidden state here is already the logits."""

    rewinds = False  # not every architecture's cache can forget its last tokens, or lend its first

    def __init__(self, model: PreTrainedModel, *, lanes: int, length: int) -> None:
        self.length = min(length, getattr(model.config, "max_position_embeddings", length))
        self._model = model
        self._caches: list[Cache | None] = [None] * lanes

    def pull(self) -> None:
        """Use the model's current weights: it always does."""

    @torch.inference_mode()
    def feed(self, feeds: Sequence[Feed]) -> Tensor:
        """Append tokens; return the logits after each feed's last one, (R, V) in float32."""
        return torch.stack([self._feed(each) for each in feeds])

    def logits(self, hidden_RE: Tensor) -> Tensor:
        return hidden_RE

    def some_logits(self, hidden_E: Tensor, tokens: Sequence[int]) -> Tensor:
        return hidden_E[torch.tensor(tokens, device=hidden_E.device)]

    def _feed(self, feed: Feed) -> Tensor:
        outputs = self._model(
            torch.tensor([list(feed.ids)], device=self._model.device),
            past_key_values=self._caches[feed.lane] if feed.start else None,
            use_cache=True,
            logits_to_keep=1,
        )
        self._caches[feed.lane] = outputs.past_key_values
        return outputs.logits[0, -1].float()
