"""How fast the local model trains, fully and as LoRA, and how near that is to what it could be.

The same work for all: eight demonstrations of the household of about 424 tokens. Tokens are those
of the sequences, without padding; `matmul_share` is what the linear layers need for the tokens that
are fed, by the fastest matrix product measured in the same minute. The first step only warms up.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional

from bench.figures import Figure, flags, report
from distill.collate import Work, collate, fed, pack, rows_of
from distill.curriculum import demonstrated
from distill.encode import Encoder
from distill.excursions import Guide, excursion
from distill.models import (
    DEFAULT_MODEL,
    best_device,
    best_dtype,
    load_model,
    load_tokenizer,
    resolve,
)
from distill.objectives.imitate import imitate
from distill.render import Renderer
from distill.searching import surveyed
from distill.student import Student, Trained
from distill.train import RATES, Pace, Training
from environments.episode import Split
from environments.household.household import Household

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SEQUENCES, TOKENS = 8, 424
FLOPS = {Trained.FULL: 6, Trained.LORA: 4}
"""Per weight of a linear layer and token: forward 2, to the input 2, to the weight 2."""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When the work was made: it is the same in every run."""


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = flags(__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = resolve(options.model, options.cache)
    steps = 1 if options.quick else 4
    figures: dict[str, Figure] = {}
    for trained in (Trained.LORA, Trained.FULL):  # memory is the most so far: the thrifty first
        prefix = "" if trained is Trained.FULL else f"{trained}_"
        found = measure(folder, trained, steps)
        figures |= {f"{prefix}{name}": value for name, value in found.items()}
    figures |= compared(folder, figures, steps)
    report("train", figures, json_path=options.json, packages=("torch", "transformers", "peft"))


def compared(folder: Path, ours: Mapping[str, Figure], steps: int) -> dict[str, Figure]:
    """Return our speed over that of TRL's trainers, as LoRA; its GRPO takes no batch from us."""
    if find_spec("trl") is None:
        return {"ratio_trl_sft": None, "ratio_trl_grpo": None}
    from bench.trl_sft import tokens_per_s

    device = best_device()
    config = load_model(folder, best_dtype(device), device).config
    work = some_work(the_encoder(folder, config.vocab_size), device)
    theirs = tokens_per_s(folder, work, Trained.LORA, steps)
    mine = ours["lora_tokens_per_s"]
    ratio = mine / theirs if isinstance(mine, float) else None
    return {"trl_sft_tokens_per_s": theirs, "ratio_trl_sft": ratio, "ratio_trl_grpo": None}


def the_encoder(folder: Path, vocabulary: int) -> Encoder:
    rules = household().instructions
    return Encoder(Renderer(load_tokenizer(folder)), rules, 4096, vocabulary)


def measure(folder: Path, trained: Trained, steps: int) -> dict[str, Figure]:
    device = best_device()
    model = load_model(folder, best_dtype(device), device)
    work = some_work(the_encoder(folder, model.config.vocab_size), device)
    training = Training(Student(model, trained), Pace(rate=RATES[trained]))
    weights = linear_weights(model)
    training.learn(work, imitate)
    walls, processors, peaks = [], [], [peak(model.dtype, device)]
    for _ in range(steps):
        began, busy = perf_counter(), process_time()
        training.learn(work, imitate)
        walls.append(perf_counter() - began)
        processors.append(process_time() - busy)
        peaks.append(peak(model.dtype, device))
    packed = pack([row.encoded for row in work.rows], device)
    told = sum(piece.own.stop - piece.own.start for piece in packed.pieces)
    given = len(packed.ids_N)
    lengths = [fed(row.encoded) for row in work.rows]
    return {
        "tokens_per_s": work.tokens / median(walls),
        "tokens_per_processor_s": work.tokens / median(processors),
        "matmul_share": FLOPS[trained] * weights * given / median(walls) / max(peaks),
        "peak_gflops": max(peaks) / 1e9,
        "peak_rss_mb": memory_mb(device),
        "padding_share": 1 - told / given,
        "padding_share_in_a_rectangle": 1 - sum(lengths) / (len(lengths) * max(lengths)),
        "shared_share": 1 - given / work.tokens,
    }


def household() -> Household:
    return Household.generated(train=96)


def some_work(encoder: Encoder, device: torch.device) -> Work:
    """Return the demonstrations whose length is nearest to the one wanted."""
    world, rng = household(), Random(0)
    tasks = world.tasks(Split.TRAIN)
    guide = Guide(environment=world, whereabouts=surveyed(world, tasks))
    readings = [excursion(guide, task, world.gold(task) or (), rng=rng, now=NOON) for task in tasks]
    rows, _ = rows_of(encoder, demonstrated(readings))
    nearest = sorted(rows, key=lambda row: abs(len(row.encoded.ids) - TOKENS))
    return collate(nearest[:SEQUENCES], device=device)


def linear_weights(model: PreTrainedModel) -> int:
    """Return how many weights of the base take part in a matrix product for every token."""
    head = cast("Any", model).get_output_embeddings()
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and "lora_" not in name
    )


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Return the most operations per second of a product like those of the model."""
    x, weight = (torch.randn(n, 1536, device=device).to(dtype) for n in (2048, 576))
    best = 0.0
    for _ in range(20):
        began = perf_counter()
        functional.linear(x, weight)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * 2048 * 1536 * 576 / (perf_counter() - began))
    return best


def memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
