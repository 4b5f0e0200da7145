"""Attention over many sequences laid end to end, so that nothing is computed for padding or twice.

A beginning that sequences share (the rules, the room, the first steps) is laid down once and looked
at by all of them: the tokens are a tree, and each piece of it sees its own way from the root.

transformers' models call it through their attention interface, hence it serves every architecture
of theirs. On a CPU it is our own: half the time of torch's kernel in bfloat16 (docs/log.md), and
like it in memory, since probabilities are computed again when gradients are.

Shape suffixes: N packed tokens, T tokens of a piece, J of its whole sequence so far, I queries of a
block, S keys they may see, K key/value heads, G query heads per key/value head, D head size;
R = G x I.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

NAME = "packed"


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive tokens of a packed row, and those before them in the same sequence."""

    own: slice
    before: tuple[slice, ...]  # in order; empty: they open their sequence


class Context(Protocol):
    """What autograd carries from forward to backward."""

    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


BLOCK = 128
"""Queries per block: 64 and 256 take 10 % longer on a sequence of 424."""


def use_packed_attention(model: PreTrainedModel) -> None:
    """Have the model take `pieces`, which tell what each token of its one row may look at."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    model.set_attn_implementation(NAME)


def packed_attention(  # noqa: PLR0913 - the signature is transformers'
    module: nn.Module,  # noqa: ARG001
    q_1HND: Tensor,
    k_1KND: Tensor,
    v_1KND: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    *,
    pieces: Sequence[Piece],
    scaling: float,
    **rest: object,  # noqa: ARG001
) -> tuple[Tensor, None]:
    """Return causal attention within each sequence, (1, N, H, D)."""
    mixed = [
        _attend(q_1HND[:, :, piece.own], _seen(k_1KND, piece), _seen(v_1KND, piece), scaling)
        for piece in pieces
    ]
    return torch.cat(mixed, 2).transpose(1, 2), None


def _seen(x_1KND: Tensor, piece: Piece) -> Tensor:
    own = x_1KND[:, :, piece.own]
    return torch.cat([*(x_1KND[:, :, each] for each in piece.before), own], 2)


def _attend(q_1HTD: Tensor, k_1KJD: Tensor, v_1KJD: Tensor, scale: float) -> Tensor:
    _, heads, count, size = q_1HTD.shape
    if q_1HTD.device.type != "cpu":
        past = causal_lower_right(count, k_1KJD.shape[2])
        return functional.scaled_dot_product_attention(
            q_1HTD, k_1KJD, v_1KJD, attn_mask=past, scale=scale, enable_gqa=True
        )
    q_KGTD = q_1HTD.reshape(k_1KJD.shape[1], -1, count, size)
    mixed = BlockwiseAttention.apply(q_KGTD * scale, k_1KJD[0], v_1KJD[0])
    return mixed.view(1, heads, count, size)


class BlockwiseAttention(torch.autograd.Function):
    """softmax(q k' + causal) v of the last queries, one block of them at a time.

    With P = softmax(S): dV = P'dO, dP = dO V', dS = P (dP - rowsum(P dP)), dQ = dS K, dK = dS'Q.
    """

    @staticmethod
    def forward(ctx: Context, q_KGTD: Tensor, k_KJD: Tensor, v_KJD: Tensor) -> Tensor:
        ctx.save_for_backward(q_KGTD, k_KJD, v_KJD)
        mixed_KGTD = torch.empty_like(q_KGTD, memory_format=torch.contiguous_format)
        for start, stop, seen in _blocks(q_KGTD.shape[2], k_KJD.shape[1]):
            p_KRS = _probabilities(q_KGTD[:, :, start:stop], k_KJD[:, :seen])
            mixed_KRD = p_KRS @ v_KJD[:, :seen]
            mixed_KGTD[:, :, start:stop] = mixed_KRD.view_as(mixed_KGTD[:, :, start:stop])
        return mixed_KGTD

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_KGTD, k_KJD, v_KJD = ctx.saved_tensors
        wide = torch.promote_types(q_KGTD.dtype, torch.float32)
        dq_KGTD = torch.empty_like(q_KGTD)
        dk_KJD, dv_KJD = (torch.zeros_like(x, dtype=wide) for x in (k_KJD, v_KJD))
        for start, stop, seen in _blocks(q_KGTD.shape[2], k_KJD.shape[1]):
            q_KGID, k_KSD = q_KGTD[:, :, start:stop], k_KJD[:, :seen]
            p_KRS = _probabilities(q_KGID, k_KSD)
            do_KRD = grads[0][:, :, start:stop].flatten(1, 2)
            dp_KRS = do_KRD @ v_KJD[:, :seen].mT
            ds_KRS = torch.ops.aten._softmax_backward_data(dp_KRS, p_KRS, -1, p_KRS.dtype)
            dv_KJD[:, :seen] += p_KRS.mT @ do_KRD
            dk_KJD[:, :seen] += ds_KRS.mT @ q_KGID.flatten(1, 2)
            dq_KGTD[:, :, start:stop] = (ds_KRS @ k_KSD).view_as(q_KGID)
        return dq_KGTD, dk_KJD.to(k_KJD.dtype), dv_KJD.to(v_KJD.dtype)


def _blocks(count: int, total: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first and last query of each block, and how many keys it may see."""
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        yield start, stop, total - count + stop


def _probabilities(q_KGID: Tensor, k_KJD: Tensor) -> Tensor:
    """Return where the last I of J positions look, (K, R, J)."""
    heads, group, rows, _ = q_KGID.shape
    seen = k_KJD.shape[1]
    score_KGIS = (q_KGID.flatten(1, 2) @ k_KJD.mT).view(heads, group, rows, seen)
    future_II = torch.full((rows, rows), -torch.inf, dtype=q_KGID.dtype).triu_(1)
    score_KGIS[..., seen - rows :] += future_II
    return torch.softmax(score_KGIS, -1).flatten(1, 2)
