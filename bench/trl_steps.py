"""The same steps in TRL's trainers, where TRL is installed: what ours are compared with.

Same sequences, same trained positions, same precision, adapters and threads; only the trainer
differs. Its GRPO is handed the attempts and their advantages instead of making them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from distill.models.models import best_device, best_dtype, load_model, load_tokenizer
from distill.models.student import Lora
from distill.models.trained import Trained
from distill.training.train import RATES, Pace

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from distill.sequences.collate import Row, Work

IGNORED = -100  # a label that is in no loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """What both sides are given."""

    folder: Path
    work: Work
    trained: Trained
    steps: int  # timed; one before them warms up


@dataclass(frozen=True, slots=True)
class Timed:
    tokens_per_s: float
    loss: float  # of the first step: where it is not ours, something was not the same


def sft(same: Same) -> Timed:
    """Time TRL's imitation of the work."""
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

    def trainer(settings: dict[str, Any], common: dict[str, Any]) -> Any:  # noqa: ANN401
        own = {"max_length": None, "dataset_kwargs": {"skip_prepare_dataset": True}}
        return SFTTrainer(args=SFTConfig(**settings, **own), **common)

    return _timed(same, trainer, [_labelled(row) for row in same.work.rows])


def grpo(same: Same) -> Timed:
    """Time its GRPO on the same; making attempts is not in it, as it is not in ours."""
    from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportMissingImports]

    given = attempts(same.work)

    def handed_over(_: object) -> dict[str, Tensor]:
        return dict(given)

    def unasked(prompts: list[object], **_: object) -> list[float]:
        return [0.0] * len(prompts)

    def trainer(settings: dict[str, Any], common: dict[str, Any]) -> Any:  # noqa: ANN401
        own = {
            "num_generations": len(same.work.rows),
            "max_completion_length": given["completion_ids"].shape[1],
        }
        made: Any = GRPOTrainer(args=GRPOConfig(**settings, **own), reward_funcs=unasked, **common)
        made._generate_and_score_completions = handed_over
        return made

    return _timed(same, trainer, [{"prompt": "given"}] * len(same.work.rows))


def attempts(work: Work) -> dict[str, Tensor]:
    """Return a step's work as TRL's GRPO has it: prompts filled up at the left, answers right."""
    starts = [row.encoded.decisions[0].position for row in work.rows]
    prompts = [row.encoded.ids[:start] for row, start in zip(work.rows, starts, strict=True)]
    answers = [row.encoded.ids[start:] for row, start in zip(work.rows, starts, strict=True)]
    before, after = max(map(len, prompts)), max(map(len, answers))
    decided = torch.zeros(len(work.rows), after, dtype=torch.int64)
    for b, (row, start) in enumerate(zip(work.rows, starts, strict=True)):
        decided[b, [each.position - start for each in row.encoded.decisions]] = 1
    advantage_BT, mask_BT = work.batch.advantage_BT, work.batch.mask_BT
    given = {
        "prompt_ids": torch.tensor([[0] * (before - len(ids)) + list(ids) for ids in prompts]),
        "prompt_mask": torch.tensor([[0] * (before - len(x)) + [1] * len(x) for x in prompts]),
        "completion_ids": torch.tensor([list(ids) + [0] * (after - len(ids)) for ids in answers]),
        "completion_mask": torch.tensor([[1] * len(x) + [0] * (after - len(x)) for x in answers]),
        "tool_mask": decided,  # what the world said is in no loss
        "advantages": (advantage_BT * mask_BT).sum(1).cpu() / mask_BT.sum(1).cpu(),
        "num_items_in_batch": decided.sum(),
    }
    return {name: tensor.to(work.batch.tokens_BT.device) for name, tensor in given.items()}


def _timed(
    same: Same,
    trainer: Callable[[dict[str, Any], dict[str, Any]], Any],
    rows: Sequence[Mapping[str, object]],
) -> Timed:
    import pyarrow  # pyright: ignore[reportMissingImports]  # TRL brings it, and the next
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from transformers import TrainerCallback

    device, seconds = best_device(), list[float]()

    class Stopwatch(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            self.began = perf_counter()

        def on_step_end(self, *_: object, **__: object) -> None:
            seconds.append(perf_counter() - self.began)

    table: Any = pyarrow.Table.from_pylist([*rows] * (same.steps + 1))
    common: dict[str, Any] = {
        "model": load_model(same.folder, best_dtype(device), device),
        "train_dataset": Dataset(table, fingerprint="bench"),
        "processing_class": load_tokenizer(same.folder),
        "peft_config": _lora() if same.trained is Trained.LORA else None,
        "callbacks": [Stopwatch()],
    }
    with tempfile.TemporaryDirectory() as scratch:
        teacher = trainer(_settings(same, scratch, device), common)
        teacher.train()
    first = float(teacher.state.log_history[0]["loss"])
    return Timed(same.work.tokens / median(seconds[1:]), first)


def _settings(same: Same, scratch: str, device: torch.device) -> dict[str, Any]:
    """Return what any trainer of theirs is told, in the words of transformers."""
    pace = Pace(rate=RATES[same.trained])
    return {
        "output_dir": scratch,
        "per_device_train_batch_size": len(same.work.rows),
        "max_steps": same.steps + 1,
        "train_sampling_strategy": "sequential",  # else a row may be drawn twice, another never
        "learning_rate": pace.rate,
        "adam_beta1": pace.betas[0],
        "adam_beta2": pace.betas[1],
        "weight_decay": pace.decay,
        "max_grad_norm": pace.clip,
        "bf16": best_dtype(device) is torch.bfloat16,
        "use_cpu": device.type == "cpu",
        "gradient_checkpointing": False,
        "remove_unused_columns": False,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def _labelled(row: Row) -> Mapping[str, list[int]]:
    learned = {decision.position for decision in row.encoded.decisions}
    ids = list(row.encoded.ids)
    return {
        "input_ids": ids,
        "labels": [token if i in learned else IGNORED for i, token in enumerate(ids)],
    }


def _lora() -> Any:  # noqa: ANN401 - peft's own class, imported late
    from peft import LoraConfig

    lora = Lora()
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
