"""Many transcripts on one preallocated key/value cache, for models built like Llama.

transformers' cache is concatenated at every forward and padded to the longest transcript; here it
is allocated once, each lane has its own length, and the new tokens of all lanes are packed into
one matrix for the linear layers, so nothing is computed for padding. Knows token ids only.

What is computed for a token depends on its own transcript and position, bit for bit, never on what
else is in the batch: attention is cut at multiples of BLOCK positions, so that a query always
meets the same number of keys, and the row counts at which kernels change their order of
summation are padded away. Operations and roundings are those of transformers' own forward.

Shape suffixes: N packed new tokens, R feeds, T new tokens of one piece, H query heads, K key/value
heads, G query heads per key/value head, S cache positions, D head size, E hidden size.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional

from distill.models.weights import Layer, Weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

BLOCK = 512
"""Positions per block of attention. It is the CPU kernel's own block of keys (torch 2.13), so that
transformers' forward over a whole transcript, padded to a multiple of it, sums in the same order
and agrees to the last bit, in bfloat16 too. Smaller: up to a fifth faster, and that is lost."""

ROWS = 4
"""Query rows of an attention call are padded to a multiple of this: with 1 to 3 in its last tile
the CPU kernel sums in another order (torch 2.13), and the last bit would depend on the batch."""


@dataclass(frozen=True, slots=True)
class Feed:
    """New tokens for one lane, at least one, which stand right after those it keeps."""

    lane: int
    start: int  # how many tokens of the lane stay
    ids: Sequence[int]
    donor: int | None = None  # the lane whose first `start` tokens it takes over; None: its own


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a feed that lies in one block of positions."""

    lane: int
    rows: slice  # in the packed batch
    bias: Tensor  # (rows of the attention call, cache positions it looks at): 0 or -inf


class Lanes:
    """The cache, and the forward pass over it."""

    rewinds = True

    def __init__(self, model: PreTrainedModel, *, lanes: int, length: int) -> None:
        self.length = -(-min(length, model.config.max_position_embeddings) // BLOCK) * BLOCK
        self._model = model
        self.pull()
        shape = self._weights.shape
        sizes = (shape.layers, lanes, self.length, shape.kv_heads, shape.size)
        self._keys, self._values = _zeros(sizes, model), _zeros(sizes, model)
        self._cos_SD, self._sin_SD = _rotations(model, self.length)

    def pull(self) -> None:
        """Take the model's current weights. What the lanes hold is stale after this."""
        self._weights = Weights(self._model)

    @torch.inference_mode()
    def feed(self, feeds: Sequence[Feed]) -> Tensor:
        """Append tokens; return the final hidden state after each feed's last one, (R, E)."""
        self._hand_over(feeds)
        pieces = list(self._pieces(feeds))
        device = self._keys.device
        at_N = torch.tensor(
            [p for feed in feeds for p in range(feed.start, feed.start + len(feed.ids))]
        )
        lane_N = torch.tensor([feed.lane for feed in feeds for _ in feed.ids])
        slot_N = (lane_N * self.length + at_N).to(device)
        at_N = at_N.to(device)
        turn = (self._cos_SD[at_N][:, None], self._sin_SD[at_N][:, None])
        tokens_N = torch.tensor([token for feed in feeds for token in feed.ids], device=device)
        hidden_NE = self._weights.embedding_VE[tokens_N]
        for i, layer in enumerate(self._weights.layers):
            mixed_NE = self._attend(i, layer, hidden_NE, turn, slot_N, pieces)
            hidden_NE = hidden_NE + layer.out(mixed_NE)
            gate_NF, up_NF = layer.gate_up(self._norm(hidden_NE, layer.before_mlp)).chunk(2, -1)
            hidden_NE = hidden_NE + layer.down(functional.silu(gate_NF) * up_NF)
        ends = torch.tensor([len(feed.ids) for feed in feeds]).cumsum(0) - 1
        return self._norm(hidden_NE[ends.to(device)], self._weights.norm)

    def logits(self, hidden_RE: Tensor) -> Tensor:
        """Return the logits of the whole vocabulary, (R, V) in float32."""
        with torch.inference_mode():
            return self._weights.logits(hidden_RE)

    def some_logits(self, hidden_E: Tensor, tokens: Sequence[int]) -> Tensor:
        """Return the logits of a few tokens, in float32."""
        with torch.inference_mode():
            return self._weights.some_logits(
                hidden_E, torch.tensor(tokens, device=self._keys.device)
            )

    def _hand_over(self, feeds: Sequence[Feed]) -> None:
        """Give lanes the first tokens of others, before any of these goes on."""
        for feed in feeds:
            if feed.donor is not None:
                for cache in (self._keys, self._values):
                    cache[:, feed.lane, : feed.start] = cache[:, feed.donor, : feed.start]

    def _pieces(self, feeds: Sequence[Feed]) -> Iterator[_Piece]:
        row = 0
        for feed in feeds:
            position, stop = feed.start, feed.start + len(feed.ids)
            while position < stop:
                used = (position // BLOCK + 1) * BLOCK
                until = min(used, stop)
                bias = self._bias(position, until, used)
                yield _Piece(feed.lane, slice(row, row + until - position), bias)
                row += until - position
                position = until

    def _bias(self, start: int, stop: int, used: int) -> Tensor:
        """Return what hides the future from queries at these positions, G rows for each."""
        shape, device = self._weights.shape, self._keys.device
        group = shape.heads // shape.kv_heads
        at_T = torch.arange(start, stop, device=device)
        hidden_TS = torch.arange(used, device=device) > at_T[:, None]
        rows = group * (stop - start)
        bias = torch.zeros(-(-rows // ROWS) * ROWS, used, dtype=self._keys.dtype, device=device)
        bias[:rows].masked_fill_(hidden_TS.repeat(group, 1), float("-inf"))
        return bias

    def _attend(
        self,
        index: int,
        layer: Layer,
        hidden_NE: Tensor,
        turn: tuple[Tensor, Tensor],
        slot_N: Tensor,
        pieces: Sequence[_Piece],
    ) -> Tensor:
        shape = self._weights.shape
        mixed_NE = layer.qkv(self._norm(hidden_NE, layer.before_attention))
        qkv_NHD = mixed_NE.view(len(mixed_NE), -1, shape.size)
        qk_NHD = self._rotated(qkv_NHD[:, : shape.heads + shape.kv_heads], layer, turn)
        for cache, new_NKD in (
            (self._keys[index], qk_NHD[:, shape.heads :]),
            (self._values[index], qkv_NHD[:, shape.heads + shape.kv_heads :]),
        ):
            cache.view(-1, shape.kv_heads, shape.size).index_copy_(0, slot_N, new_NKD)
        out_NE = torch.empty_like(mixed_NE[:, : shape.heads * shape.size])
        for piece in pieces:
            out_NE[piece.rows] = self._look(index, piece, qk_NHD[piece.rows, : shape.heads])
        return out_NE

    def _rotated(self, qk_NHD: Tensor, layer: Layer, turn: tuple[Tensor, Tensor]) -> Tensor:
        shape = self._weights.shape
        if layer.q_norm is not None and layer.k_norm is not None:
            q_NHD = self._norm(qk_NHD[:, : shape.heads], layer.q_norm)
            qk_NHD = torch.cat([q_NHD, self._norm(qk_NHD[:, shape.heads :], layer.k_norm)], 1)
        half = shape.size // 2
        turned_NHD = torch.cat([-qk_NHD[..., half:], qk_NHD[..., :half]], -1)
        return qk_NHD * turn[0] + turned_NHD * turn[1]

    def _look(self, index: int, piece: _Piece, q_THD: Tensor) -> Tensor:
        """Return the attention of one piece, (T, E).

        The query heads that share a key/value head are folded into the time axis, so keys and
        values are never repeated.
        """
        shape = self._weights.shape
        count, group = len(q_THD), shape.heads // shape.kv_heads
        padded, used = piece.bias.shape
        q_KGTD = q_THD.view(count, shape.kv_heads, group, shape.size).permute(1, 2, 0, 3)
        q_KRD = q_KGTD.reshape(shape.kv_heads, group * count, shape.size)
        mixed_KRD = functional.scaled_dot_product_attention(
            functional.pad(q_KRD, (0, 0, 0, padded - group * count))[None],
            self._keys[index, piece.lane, :used].transpose(0, 1)[None],
            self._values[index, piece.lane, :used].transpose(0, 1)[None],
            attn_mask=piece.bias[None, None],
        )[0, :, : group * count]
        mixed_KGTD = mixed_KRD.view(shape.kv_heads, group, count, shape.size)
        return mixed_KGTD.permute(2, 0, 1, 3).reshape(count, -1)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        # Rounded before the weight, as transformers does: else bfloat16 drifts from training.
        return functional.rms_norm(x, x.shape[-1:], None, self._weights.shape.eps) * weight


def _zeros(sizes: tuple[int, ...], like: PreTrainedModel) -> Tensor:
    """Return zeros which on a CPU take memory only where they are written."""
    if like.device.type != "cpu":
        return torch.zeros(sizes, dtype=like.dtype, device=like.device)
    pages = mmap.mmap(-1, math.prod(sizes) * like.dtype.itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # Linux: one token would take 2 MB in each layer
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(pages, dtype=like.dtype).view(sizes)


def _rotations(model: PreTrainedModel, length: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine by position, (S, D), as the model itself computes them."""
    body = cast("Any", model).model
    at_1S = torch.arange(length, device=model.device)[None]
    like = torch.empty(0, dtype=model.dtype, device=model.device)
    with torch.inference_mode():
        cos_1SD, sin_1SD = body.rotary_emb(like, at_1S)
    return cos_1SD[0], sin_1SD[0]
