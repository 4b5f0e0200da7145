"""A model in llama.cpp's format (GGUF 3), written here: its own converter is in no Python package.

Llama's architecture with a byte-level BPE, which is what the default model is. Weights stay as they
are in bfloat16 (norms in float32, as llama.cpp wants them), so it says what the adapter says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import UserError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from torch import Tensor

ARCHITECTURE = "llama"
BPE = "gpt2"  # llama.cpp's name for every byte-level BPE

SPLITS: Mapping[tuple[str, ...], str] = {("ByteLevel",): "gpt-2", ("Digits", "ByteLevel"): "smollm"}
"""How text is cut before it is merged, by the steps of `tokenizer.json`, in llama.cpp's names."""

TURNED = (".self_attn.q_proj.weight", ".self_attn.k_proj.weight")
"""Weights whose rows are in another order there: llama.cpp rotates neighbors, transformers halves
(`LlamaModel.permute` of its converter)."""


class NoGgufError(UserError, ValueError):
    """A model that this writer does not know how to write."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"no GGUF is written: {why}; put llama.cpp's convert_hf_to_gguf.py on the PATH"
        )


def write_gguf(folder: Path, target: Path, name: str) -> Path:
    """Write the transformers model in a folder as one GGUF file; return where.

    Raises:
        NoGgufError: another architecture, or another kind of tokenizer.
    """
    from gguf import GGUFWriter

    config, tokenizer = _json(folder / "config.json"), _json(folder / "tokenizer.json")
    settings = _json(folder / "tokenizer_config.json")
    _check(config, tokenizer)
    pending = target.with_name(f".{target.name}")
    writer = GGUFWriter(pending, ARCHITECTURE)
    writer.add_type("model")
    writer.add_name(name)
    _add_shape(writer, config)
    _add_tokens(writer, tokenizer, config["vocab_size"])
    _add_special(writer, tokenizer, settings)
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))
    for key, weight in _weights(folder):
        _add_weight(writer, key, weight, config)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return pending.replace(target)
    finally:
        pending.unlink(missing_ok=True)


def _check(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> None:
    if config["model_type"] != ARCHITECTURE:
        raise NoGgufError(f"its architecture is {config['model_type']!r}, not {ARCHITECTURE!r}")
    if config["rope_parameters"]["rope_type"] != "default":
        raise NoGgufError(f"its positions are {config['rope_parameters']['rope_type']!r}")
    if config.get("attention_bias") or config.get("mlp_bias"):
        raise NoGgufError("its linear layers have biases")
    if tokenizer["model"]["type"] != "BPE" or _steps(tokenizer) not in SPLITS:
        steps = " then ".join(_steps(tokenizer)) or "nothing"
        raise NoGgufError(f"its tokenizer is {tokenizer['model']['type']} after {steps}")


def _steps(tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the steps that cut text up before it is merged."""
    first: dict[str, Any] = tokenizer["pre_tokenizer"] or {"pretokenizers": []}
    steps: list[dict[str, Any]] = first.get("pretokenizers", [first])
    return tuple(step["type"] for step in steps)


def _add_shape(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    from gguf import LlamaFileType

    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(LlamaFileType.MOSTLY_BF16)


def _add_tokens(writer: GGUFWriter, tokenizer: Mapping[str, Any], count: int) -> None:
    from gguf import TokenType

    words = {id: token for token, id in tokenizer["model"]["vocab"].items()}
    added = {each["id"]: each for each in tokenizer["added_tokens"]}
    words |= {id: each["content"] for id, each in added.items()}
    kinds = {
        id: TokenType.CONTROL if each["special"] else TokenType.USER_DEFINED
        for id, each in added.items()
    }
    unused = [TokenType.NORMAL if id in words else TokenType.UNUSED for id in range(count)]
    writer.add_tokenizer_model(BPE)
    writer.add_tokenizer_pre(SPLITS[_steps(tokenizer)])
    writer.add_token_list([words.get(id, f"[PAD{id}]") for id in range(count)])
    writer.add_token_types([kinds.get(id, kind) for id, kind in enumerate(unused)])
    merges: Sequence[str | Sequence[str]] = tokenizer["model"]["merges"]
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in merges])


def _add_special(
    writer: GGUFWriter, tokenizer: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Name the tokens with a role; prompts bring theirs along, so none is added to them."""
    ids = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    ids = tokenizer["model"]["vocab"] | ids
    roles = {
        "bos_token": writer.add_bos_token_id,
        "eos_token": writer.add_eos_token_id,
        "unk_token": writer.add_unk_token_id,
        "pad_token": writer.add_pad_token_id,
    }
    for role, add in roles.items():
        if settings.get(role) in ids:
            add(ids[settings[role]])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _weights(folder: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as kept:
            for key in kept.keys():  # noqa: SIM118 - it is no dict
                yield key, kept.get_tensor(key)


def _add_weight(writer: GGUFWriter, key: str, weight: Tensor, config: Mapping[str, Any]) -> None:
    from gguf import MODEL_ARCH, GGMLQuantizationType, get_tensor_name_map, quants

    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    name = names.get_name(key, try_suffixes=(".weight",))
    if name is None:
        raise NoGgufError(f"its weight {key!r} has no place there")
    if key.endswith(TURNED):
        weight = _turned(weight, config["head_dim"])
    values = weight.float().numpy()
    if values.ndim == 1:
        writer.add_tensor(name, values)
        return
    exact = GGMLQuantizationType.BF16
    writer.add_tensor(name, quants.quantize(values, exact), raw_dtype=exact)


def _turned(weight_HE: Tensor, size: int) -> Tensor:
    """Return the rows of each head as neighbors: the first of either half, the second of either."""
    heads = len(weight_HE) // size
    return weight_HE.view(heads, 2, size // 2, -1).transpose(1, 2).reshape(weight_HE.shape)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
