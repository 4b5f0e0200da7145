"""What a moment is worth, read off the policy's own features by a linear head.

The policy's last hidden state before it would act already tells much of how things stand; a head
of as many weights as that has dimensions is fitted to returns in closed form (ridge regression:
minimal squared error, plus, where AlphaLLM's eq. 5 prints minus). Closed form, for it has no
learning rate, no seed and no early stop, and takes well under a second.

Shape suffixes: B moments, E hidden size, F = E + 1 (the constant).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from distill.sequences.attention import use_packed_attention
from distill.sequences.batch import Source
from distill.sequences.collate import fed, pack
from distill.sequences.encode import Encoded
from distill.sequences.trie import Decision

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedModel

    from distill.sequences.render import Renderer
    from environments.transcript import Message

RIDGE = 1.0
"""Pull of the weights toward 0, in standardized features: as strong as one moment's evidence for
each dimension. Smaller: with fewer moments than dimensions the head repeats them by heart."""

PART_TOKENS = 4096
"""Computed at once: memory grows with it."""


class Features:
    """Reads transcripts as the policy does before it acts; what they share is computed once."""

    def __init__(self, model: PreTrainedModel, renderer: Renderer) -> None:
        use_packed_attention(model)
        self._model = model
        self._renderer = renderer

    @torch.no_grad()
    def of(self, transcripts: Sequence[Sequence[Message]]) -> Tensor:
        """Return the hidden state at the end of each prompt, (B, E) in float32."""
        prompts = [_prompt(self._renderer.prompt(each)) for each in transcripts]
        order = sorted(range(len(prompts)), key=lambda at: prompts[at].ids)
        found: dict[int, Tensor] = {}
        for part in _parts([(at, prompts[at]) for at in order]):
            hidden_BE = self._read([prompt for _, prompt in part])
            found.update(zip((at for at, _ in part), hidden_BE, strict=True))
        return torch.stack([found[at] for at in range(len(prompts))])

    def _read(self, prompts: Sequence[Encoded]) -> Tensor:
        packed = pack(prompts, self._model.device)
        outputs = cast("Any", self._model).base_model(
            input_ids=packed.ids_N[None],
            position_ids=packed.position_N[None],
            pieces=packed.pieces,
            use_cache=False,
        )
        hidden_1NE: Tensor = outputs.last_hidden_state
        return hidden_1NE[0, packed.at_D].float().cpu()


@dataclass(frozen=True, slots=True, eq=False)
class ValueHead:
    """An affine function of the features, held to [0, 1]: the chance that it ends well."""

    weight_E: Tensor
    bias: float

    @classmethod
    def fit(cls, features_BE: Tensor, returns_B: Tensor, *, ridge: float = RIDGE) -> ValueHead:
        """Return the head with the least squared error, plus `ridge` times that of its weights.

        Args:
            features_BE: of the moments.
            returns_B: what each turned out to be worth, 0 to 1.
            ridge: see `RIDGE`; the constant is not pulled.

        Raises:
            ValueError: there are no moments, or not as many returns.
        """
        if not len(features_BE) or len(features_BE) != len(returns_B):
            raise ValueError(f"{len(features_BE)} moments and {len(returns_B)} returns")
        x_BE, y_B = features_BE.double(), returns_B.double()
        mean_E, spread_E = x_BE.mean(0), x_BE.std(0, correction=0).clamp(min=1e-6)
        z_BE = (x_BE - mean_E) / spread_E
        weight_E = _ridge(z_BE, y_B - y_B.mean(), ridge) / spread_E
        return cls(weight_E.float(), float(y_B.mean() - weight_E @ mean_E))

    def __call__(self, features_BE: Tensor) -> Tensor:
        """Return the chance of each moment."""
        return (features_BE @ self.weight_E + self.bias).clamp(0, 1)

    def save(self, file: Path) -> None:
        """Write it as safetensors."""
        from safetensors.torch import save_file

        save_file({"weight": self.weight_E, "bias": torch.tensor(self.bias)}, file)

    @classmethod
    def load(cls, file: Path) -> ValueHead:
        """Return what `save` wrote."""
        from safetensors.torch import load_file

        held = load_file(file)
        return cls(held["weight"], float(held["bias"]))


def _ridge(z_BE: Tensor, y_B: Tensor, ridge: float) -> Tensor:
    """Solve in the smaller of both spaces: there are mostly fewer moments than dimensions."""
    count, size = z_BE.shape
    if count < size:
        gram_BB = z_BE @ z_BE.T + ridge * torch.eye(count, dtype=z_BE.dtype)
        return z_BE.T @ torch.linalg.solve(gram_BB, y_B)
    gram_EE = z_BE.T @ z_BE + ridge * torch.eye(size, dtype=z_BE.dtype)
    return torch.linalg.solve(gram_EE, z_BE.T @ y_B)


def _prompt(ids: tuple[int, ...]) -> Encoded:
    """Return a prompt as a sequence whose only decision is what comes next."""
    end = Decision(position=len(ids), token=0, allowed=())
    return Encoded(
        episode="",
        ids=(*ids, 0),
        decisions=(end,),
        sampled=(0.0,),
        temperature=1.0,
        source=Source.DEMONSTRATION,
    )


def _parts(prompts: Sequence[tuple[int, Encoded]]) -> list[list[tuple[int, Encoded]]]:
    parts: list[list[tuple[int, Encoded]]] = []
    held = 0
    for at, prompt in prompts:
        if not parts or held + fed(prompt) > PART_TOKENS:
            parts.append([])
            held = 0
        parts[-1].append((at, prompt))
        held += fed(prompt)
    return parts
