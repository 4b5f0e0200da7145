"""Language models of a few thousand random weights, and a tokenizer of single bytes."""

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def a_tokenizer(template: str | None = CHATML, *more: str) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = (*SPECIAL, *more)
    vocabulary = {token: i for i, token in enumerate((*special, *letters))}
    bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=list(more),
    )
    tokenizer.chat_template = template
    return tokenizer


def a_model(kind: str = "llama", *, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Return a random model of an architecture, sharp enough that its choices matter."""
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": 264,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "intermediate_size": 64,
        "max_position_embeddings": 2048,
        "initializer_range": 0.3,
    }
    if kind in ("llama", "qwen2", "qwen3"):
        sizes |= {"num_key_value_heads": 2, "head_dim": 16 if kind == "qwen3" else 8}
    config = CONFIG_MAPPING[kind](**(sizes | changes))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # zero unless drawn, and a zero bias cannot be forgotten
            torch.nn.init.normal_(parameter, std=0.3)
    return model
