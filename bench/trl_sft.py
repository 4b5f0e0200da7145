"""The same step in TRL's supervised trainer, where TRL is installed: what ours is compared with.

Same sequences, same trained positions, same precision and threads; only the trainer differs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from distill.collate import Work
from distill.models import best_device, best_dtype, load_model, load_tokenizer
from distill.student import Lora, Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORED = -100  # a label that is in no loss


def tokens_per_s(folder: Path, work: Work, trained: Trained, steps: int) -> float:
    """Return how many tokens of this work TRL trains on in a second, after a step to warm up."""
    import pyarrow  # pyright: ignore[reportMissingImports]  # TRL brings all three
    from datasets import Dataset  # pyright: ignore[reportMissingImports]
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

    device = best_device()
    seconds: list[float] = []

    class Stopwatch(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            self.began = perf_counter()

        def on_step_end(self, *_: object, **__: object) -> None:
            seconds.append(perf_counter() - self.began)

    table: Any = pyarrow.Table.from_pylist(_rows(work) * (steps + 1))
    with tempfile.TemporaryDirectory() as scratch:
        SFTTrainer(
            model=load_model(folder, best_dtype(device), device),
            args=SFTConfig(
                output_dir=scratch,
                per_device_train_batch_size=len(work.rows),
                max_steps=steps + 1,
                bf16=best_dtype(device) is torch.bfloat16,
                use_cpu=device.type == "cpu",
                report_to=[],
                save_strategy="no",
                max_length=None,
                gradient_checkpointing=False,
                disable_tqdm=True,
                remove_unused_columns=False,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=Dataset(table, fingerprint="bench"),
            processing_class=load_tokenizer(folder),
            peft_config=_lora() if trained is Trained.LORA else None,
            callbacks=[Stopwatch()],
        ).train()
    return work.tokens / median(seconds[1:])


def _rows(work: Work) -> list[Mapping[str, list[int]]]:
    rows: list[Mapping[str, list[int]]] = []
    for row in work.rows:
        learned = {decision.position for decision in row.encoded.decisions}
        ids = list(row.encoded.ids)
        labels = [token if i in learned else IGNORED for i, token in enumerate(ids)]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def _lora() -> Any:  # noqa: ANN401 - peft's own class, imported late
    from peft import LoraConfig

    lora = Lora()
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
