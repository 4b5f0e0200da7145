"""A tiny Llama with random weights, a small world of words, and attempts at it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from distill.models.adapters import Lineage
from distill.models.student import Student, Trained
from distill.sequences.encode import Encoder
from distill.sequences.render import Renderer
from environments.episode import Completion, Ending, Episode, Split, Step, Task

MOVES = ("go left", "go right", "take gold", "take iron ore", "wait")
RULES = "You walk."
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENTENCES = (
    "<pad> <end> <bos> You walk . go left right take gold iron ore wait There is a door here It",
    "way user system assistant user: system: assistant: hint : find it again was done before like",
    "this",
)
WORDS = [word for sentence in SENTENCES for word in sentence.split()]


@lru_cache(1)
def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*WORDS, "<unk>", "\n"]))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<end>", pad_token="<pad>", unk_token="<unk>"
    )


def tiny_model(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    plain: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
    }
    return LlamaForCausalLM(LlamaConfig(**{**plain, **changes})).eval()


def tiny_student(trained: Trained = Trained.FULL, **changes: Any) -> Student:
    return Student(tiny_model(), trained, **changes)


def tiny_encoder(length: int = 512) -> Encoder:
    return Encoder(Renderer(tokenizer()), RULES, length, 64)


def a_lineage(name: str = "first", **changes: Any) -> Lineage:
    plain: dict[str, Any] = {
        "base": "small",
        "parent": None,
        "trained": Trained.FULL,
        "objective": "reward",
        "episodes": (),
        "seed": 0,
        "made": NOW,
    }
    return Lineage(name=name, **{**plain, **changes})


def a_task(number: int = 0, split: Split = Split.TRAIN) -> Task:
    return Task(id=f"walk-{number}", environment="walk", split=split, kind="walk", goal="take gold")


def a_step(action: str, *, admissible: Sequence[str] = MOVES, reward: float = 0.0) -> Step:
    """A step whose tokens were recorded, with a plausible logprob for each."""
    ids = Renderer(tokenizer()).action(action)
    text = Renderer(tokenizer()).text(ids)
    return Step(
        observation="There is a door here",
        admissible=tuple(admissible),
        completion=Completion(text=text, token_ids=ids, logprobs=(-0.5,) * len(ids)),
        action=action,
        reward=reward,
    )


def an_episode(*actions: str, number: int = 0, name: str = "", **changes: Any) -> Episode:
    """An episode of recorded steps; the last action is paid if it takes the gold."""
    acted = actions or ("go left", "take gold")
    solved = acted[-1] == "take gold"
    steps = [a_step(action) for action in acted]
    steps[-1] = replace(steps[-1], reward=float(solved))
    plain: dict[str, Any] = {
        "id": name or "-".join(acted).replace(" ", "_"),
        "task": a_task(number),
        "steps": tuple(steps),
        "ending": Ending.SOLVED if solved else Ending.FAILED,
        "closing": "It is here",
        "policy": "tiny",
        "temperature": 1.0,
        "seed": 0,
        "started": NOW,
        "seconds": 0.0,
    }
    return Episode(**{**plain, **changes})
