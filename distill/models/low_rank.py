"""A frozen linear layer with a low-rank update beside it, as one step of autograd.

    y = x W' + b + s (x A') B'          (LoRA, Hu et al. 2021, arXiv:2106.09685)

peft's own forward goes over y four times: the layer, the update, its scale, the sum of both. Here
the product that makes the update adds it in place, scaled. Factors that are wider than the input
(float32 beside bfloat16) are rounded where they are used; their gradients have their own precision.

Shape suffixes: N tokens, E inputs, F outputs, R rank.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER = "default"
"""peft's name of the only adapter that a model has here."""


class Context(Protocol):
    """What autograd carries from forward to backward."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    scale: float

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class LowRank(torch.autograd.Function):
    """With l = x A' and dy given: dx = dy W + s (dy B) A, dA = s (dy B)' x, dB = s dy' l."""

    @staticmethod
    def forward(  # noqa: PLR0913 - the layer and its update
        ctx: Context,
        x_NE: Tensor,
        weight_FE: Tensor,
        bias_F: Tensor | None,
        a_RE: Tensor,
        b_FR: Tensor,
        scale: float,
    ) -> Tensor:
        low_NR = functional.linear(x_NE, a_RE.to(x_NE.dtype))
        ctx.save_for_backward(x_NE, low_NR, weight_FE, a_RE, b_FR)
        ctx.scale = scale
        y_NF = functional.linear(x_NE, weight_FE, bias_F)
        return y_NF.addmm_(low_NR, b_FR.to(x_NE.dtype).T, alpha=scale)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_NE, low_NR, weight_FE, a_RE, b_FR = ctx.saved_tensors
        dy_NF = grads[0]
        back_NR = (dy_NF @ b_FR.to(x_NE.dtype)).mul_(ctx.scale)
        dx_NE = None
        if ctx.needs_input_grad[0]:  # not in the first layer: nothing before it learns
            dx_NE = (dy_NF @ weight_FE).addmm_(back_NR, a_RE.to(x_NE.dtype))
        da_RE = (back_NR.T @ x_NE).to(a_RE.dtype)
        db_FR = (dy_NF.T @ low_NR).to(b_FR.dtype).mul_(ctx.scale)
        return dx_NE, None, None, da_RE, db_FR, None


def use_low_rank(model: nn.Module) -> None:
    """Have every linear layer with a LoRA beside it compute both in one step, from now on."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.forward = MethodType(_forward, module)


def _forward(module: nn.Module, x: Tensor) -> Tensor:
    layer = cast("Any", module)
    base = layer.get_base_layer()
    y_NF = LowRank.apply(
        x.flatten(0, -2),
        base.weight,
        base.bias,
        layer.lora_A[ADAPTER].weight,
        layer.lora_B[ADAPTER].weight,
        layer.scaling[ADAPTER],
    )
    return cast("Tensor", y_NF).view(*x.shape[:-1], -1)
