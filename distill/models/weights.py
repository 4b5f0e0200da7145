"""A model's weights as the lanes read them: fused, laid out for this machine, LoRA folded in.

The model stays as it is, for training; this is a copy that is taken anew after each update, so
acting and training share one set of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

LLAMA_LIKE = ("llama", "qwen2", "qwen3")
"""`model_type`s whose forward is the one in lanes.py; a test compares each with transformers."""

ROWS_HINT = 64
"""Rows oneDNN is told to expect when it lays out a weight; results do not depend on it."""


class Linear:
    """A linear layer with its weight laid out once instead of at every call.

    With AVX-512 BF16 and 2 to 64 rows this is 1.2 to 2 times as fast as `functional.linear`, and
    what comes out for a row does not depend on how many rows there are.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._bias = bias
        self._laid_out = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS_HINT)
            if self._laid_out
            else weight
        )

    def __call__(self, x_NE: Tensor) -> Tensor:
        if not self._laid_out:
            return functional.linear(x_NE, self._weight, self._bias)
        if len(x_NE) == 1:  # a single row takes another kernel, which sums in another order
            return self(x_NE.repeat(2, 1))[:1]
        return cast(
            "Tensor",
            torch.ops.mkldnn._linear_pointwise(x_NE, self._weight, self._bias, "none", [], ""),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    layers: int
    heads: int
    kv_heads: int
    size: int  # of a head
    eps: float


@dataclass(frozen=True, slots=True)
class Layer:
    before_attention: Tensor  # RMS norm
    qkv: Linear
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Linear
    before_mlp: Tensor  # RMS norm
    gate_up: Linear
    down: Linear


def is_llama_like(model: PreTrainedModel) -> bool:
    """Whether the lanes compute what this model computes."""
    config = model.config
    attention = getattr(config, "layer_types", None) or ["full_attention"]
    rope: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in LLAMA_LIKE
        and config.hidden_act == "silu"
        and set(attention) == {"full_attention"}
        and rope.get("rope_type") in ("default", "linear", "llama3")  # angles fixed by position
    )


class Weights:
    """The weights of one moment."""

    def __init__(self, model: PreTrainedModel) -> None:
        config, body = model.config, cast("Any", model).model
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = Shape(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            size=size,
            eps=config.rms_norm_eps,
        )
        self.embedding_VE = dense(body.embed_tokens)
        self.norm = body.norm.weight.detach()
        self.layers = [_layer(each) for each in body.layers]
        self._head_VE = dense(cast("Any", model).lm_head)
        self._head: Linear | None = None

    def logits(self, hidden_RE: Tensor) -> Tensor:
        """Return the logits of the whole vocabulary, in float32 whatever the weights are."""
        if self._head is None:  # only free text needs it, and it costs twice the memory of bfloat16
            self._head = Linear(self._head_VE.float())
        return self._head(hidden_RE.float())

    def some_logits(self, hidden_E: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits of a few tokens, in float32."""
        return self._head_VE[tokens].float() @ hidden_E.float()


def dense(module: nn.Module) -> Tensor:
    """Return a layer's weight with its active LoRA adapters added; the layer is left as it is."""
    layer = cast("Any", module)
    base = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    weight: Tensor = base.weight.detach()
    if not hasattr(layer, "get_delta_weight") or layer.disable_adapters or layer.merged:
        return weight
    with torch.no_grad():
        for adapter in layer.active_adapters:
            if adapter in layer.lora_A:
                weight = (weight.float() + layer.get_delta_weight(adapter).float()).to(weight.dtype)
    return weight


def _layer(module: nn.Module) -> Layer:
    layer = cast("Any", module)
    attention, mlp = layer.self_attn, layer.mlp
    return Layer(
        before_attention=layer.input_layernorm.weight.detach(),
        qkv=_fused(attention.q_proj, attention.k_proj, attention.v_proj),
        q_norm=attention.q_norm.weight.detach() if hasattr(attention, "q_norm") else None,
        k_norm=attention.k_norm.weight.detach() if hasattr(attention, "k_norm") else None,
        out=_fused(attention.o_proj),
        before_mlp=layer.post_attention_layernorm.weight.detach(),
        gate_up=_fused(mlp.gate_proj, mlp.up_proj),
        down=_fused(mlp.down_proj),
    )


def _fused(*modules: nn.Module) -> Linear:
    biases = [cast("Tensor | None", getattr(module, "bias", None)) for module in modules]
    present = [bias.detach() for bias in biases if bias is not None]
    return Linear(
        torch.cat([dense(module) for module in modules]), torch.cat(present) if present else None
    )
