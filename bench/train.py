"""How fast the local model trains as LoRA and fully, beside TRL and beside what the machine can.

The same work for all: eight demonstrations of the household of about 424 tokens, each trained token
chosen from the whole vocabulary, as TRL has it. Tokens are those of the sequences, without padding.
`matmul_share` is the products that a step needs for what is fed, by the fastest product measured in
the same minute. Each part runs in a process of its own, so that memory is its own; its first step
only warms up. Names without a prefix are of LoRA, rank 16.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional
from transformers import AutoConfig

from bench.figures import Figure, flags, report
from bench.trl_steps import Same, Timed, grpo, sft
from distill.models.models import (
    DEFAULT_MODEL,
    best_device,
    best_dtype,
    load_model,
    load_tokenizer,
    resolve,
)
from distill.models.student import Student, Trained
from distill.objectives.imitate import imitate
from distill.objectives.objective import Objective
from distill.objectives.reinforce import clipped, reinforce
from distill.sequences.batch import Source
from distill.sequences.collate import Packed, Row, Work, collate, fed, pack, rows_of
from distill.sequences.encode import Encoder
from distill.sequences.render import Renderer
from distill.teaching.curriculum import demonstrated
from distill.teaching.excursions import Guide, excursion
from distill.teaching.searching import surveyed
from distill.training.train import RATES, Pace, Training
from environments.episode import Split
from environments.household.household import Household

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

SEQUENCES, TOKENS = 8, 424
STEPS, THEIR_STEPS = 4, 2  # timed; theirs take several times as long
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When the work was made: it is the same in every run."""

FLOPS = {Trained.FULL: 6, Trained.LORA: 4}
"""Per weight of a linear layer and token: forward 2, to the input 2, to the weight 2."""

SIZES = ((2048, 2048, 2048), (2048, 576, 1536), (2048, 1536, 576))
"""Rows, inputs and outputs of the products whose fastest is the peak: a large one, and those of
the default model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a part runs with."""

    folder: Path
    threads: int
    quick: bool


@dataclass(frozen=True, slots=True)
class Ours:
    """What a step of ours took."""

    wall: float  # seconds
    processor: float  # seconds
    peak: float  # operations per second of the fastest product
    first_loss: float


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    parser = flags(__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    folder = resolve(options.model, options.cache)
    setting = Setting(folder=folder, threads=options.threads, quick=options.quick)
    wanted = [each for each in options.parts if "trl" not in each or find_spec("trl")]
    figures: dict[str, Figure] = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as apart:
        for name in wanted:
            figures |= apart.submit(measured, name, setting).result()
    figures |= compared(figures)
    report("train", figures, json_path=options.json, packages=("torch", "transformers", "trl"))


def compared(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return our speed over that of TRL's trainers; None where either was not measured."""

    def ratio(ours: str, theirs: str) -> float | None:
        mine, other = figures.get(f"{ours}tokens_per_s"), figures.get(f"{theirs}_tokens_per_s")
        return mine / other if isinstance(mine, float) and isinstance(other, float) else None

    return {
        "ratio_trl_sft": ratio("", "trl_sft"),
        "ratio_trl_grpo": ratio("grpo_", "trl_grpo"),
        "ratio_trl_sft_full": ratio("full_", "trl_sft_full"),
    }


def measured(name: str, setting: Setting) -> dict[str, Figure]:
    """Return the figures of one part; called in a process of its own."""
    torch.set_num_threads(setting.threads)
    return PARTS[name](setting)


def ours(
    prefix: str, trained: Trained, objective: Objective, setting: Setting
) -> dict[str, Figure]:
    device = best_device()
    model = load_model(setting.folder, best_dtype(device), device)
    weights = linear_weights(model)
    student = Student(model, trained)
    work = some_work(the_encoder(setting.folder, model.config.vocab_size), device)
    if objective is not imitate:
        with torch.no_grad():
            work = attempted(work, student.speak(work).logprobs.taken_BT)
    timed = timed_steps(Training(student, Pace(rate=RATES[trained])), work, objective, setting)
    packed = pack([row.encoded for row in work.rows], device)
    learned = sum(w.numel() for w in student.weights.values()) if trained is Trained.LORA else 0
    needed = (FLOPS[trained] * weights + 6 * learned) * len(packed.ids_N)
    needed += attended(model, packed) + 4 * vocabulary_weights(model) * len(packed.at_D)
    figures: dict[str, Figure] = {
        "tokens_per_s": work.tokens / timed.wall,
        "tokens_per_processor_s": work.tokens / timed.processor,
        "matmul_share": needed / timed.wall / timed.peak,
        "peak_gflops": timed.peak / 1e9,
        "peak_rss_mb": memory_mb(device),
        "first_loss": timed.first_loss,
    }
    if not prefix:
        figures |= _shape(work, packed)
    return {f"{prefix}{name}": value for name, value in figures.items()}


def timed_steps(training: Training, work: Work, objective: Objective, setting: Setting) -> Ours:
    device = training.student.device
    first = training.learn(work, objective).loss
    walls, processors, peaks = [], [], [peak(training.student.model.dtype, device)]
    for _ in range(1 if setting.quick else STEPS):
        began, busy = perf_counter(), process_time()
        training.learn(work, objective)
        _wait(device)
        walls.append(perf_counter() - began)
        processors.append(process_time() - busy)
        peaks.append(peak(training.student.model.dtype, device))
    return Ours(median(walls), median(processors), max(peaks), first)


def theirs(
    prefix: str, trained: Trained, time: Callable[[Same], Timed], setting: Setting
) -> dict[str, Figure]:
    device = best_device()
    vocabulary = AutoConfig.from_pretrained(setting.folder).vocab_size
    work = some_work(the_encoder(setting.folder, vocabulary), device)
    if time is grpo:  # which takes what it says itself for what acted
        work = attempted(work, work.batch.sampled_logp_BT)
    steps = 1 if setting.quick else THEIR_STEPS
    timed = time(Same(folder=setting.folder, work=work, trained=trained, steps=steps))
    return {
        f"{prefix}tokens_per_s": timed.tokens_per_s,
        f"{prefix}peak_rss_mb": memory_mb(device),
        f"{prefix}first_loss": timed.loss,
    }


PARTS: Mapping[str, Callable[[Setting], dict[str, Figure]]] = {
    "sft": lambda setting: ours("", Trained.LORA, imitate, setting),
    "trl-sft": lambda setting: theirs("trl_sft_", Trained.LORA, sft, setting),
    "grpo": lambda setting: ours("grpo_", Trained.LORA, reinforce(clipped()), setting),
    "trl-grpo": lambda setting: theirs("trl_grpo_", Trained.LORA, grpo, setting),
    "full": lambda setting: ours("full_", Trained.FULL, imitate, setting),
    "trl-full": lambda setting: theirs("trl_sft_full_", Trained.FULL, sft, setting),
}


def the_encoder(folder: Path, vocabulary: int) -> Encoder:
    rules = household().instructions
    return Encoder(Renderer(load_tokenizer(folder)), rules, 4096, vocabulary)


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
    return collate([_unbound(row) for row in nearest[:SEQUENCES]], device=device)


def attempted(work: Work, sampled_logp_BT: Tensor) -> Work:
    """Return the work as if somebody had tried it: half of it paid, half of it not."""
    sign_B = torch.arange(len(work.rows), device=sampled_logp_BT.device) % 2 * 2.0 - 1
    batch = replace(
        work.batch,
        sampled_logp_BT=sampled_logp_BT,
        advantage_BT=sign_B[:, None] * work.batch.mask_BT,
        source_B=torch.full_like(work.batch.source_B, Source.ROLLOUT),
    )
    return replace(work, batch=batch)


def linear_weights(model: PreTrainedModel) -> int:
    """Return how many weights of the base take part in a matrix product for every token."""
    head = cast("Any", model).get_output_embeddings()
    return sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and "lora_" not in name
    )


def vocabulary_weights(model: PreTrainedModel) -> int:
    return cast("Any", model).get_output_embeddings().weight.numel()


def attended(model: PreTrainedModel, packed: Packed) -> int:
    """Return the operations of attention: two products a layer, each again twice backward."""
    config = model.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    seen = int((packed.position_N + 1).sum())
    return 3 * 2 * 2 * config.num_hidden_layers * config.num_attention_heads * size * seen


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Return the most operations per second that a product reaches here."""
    best = 0.0
    for rows, inputs, outputs in SIZES:
        x, weight = (torch.randn(n, inputs, device=device).to(dtype) for n in (rows, outputs))
        for _ in range(8):
            began = perf_counter()
            functional.linear(x, weight)
            _wait(device)
            best = max(best, 2 * rows * inputs * outputs / (perf_counter() - began))
    return best


def memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _shape(work: Work, packed: Packed) -> dict[str, Figure]:
    """Return how much of what is fed is padding, and how much of the work is fed only once."""
    told = sum(piece.own.stop - piece.own.start for piece in packed.pieces)
    lengths = [fed(row.encoded) for row in work.rows]
    return {
        "padding_share": 1 - told / len(packed.ids_N),
        "padding_share_in_a_rectangle": 1 - sum(lengths) / (len(lengths) * max(lengths)),
        "shared_share": 1 - len(packed.ids_N) / work.tokens,
    }


def _unbound(row: Row) -> Row:
    """Return the same row with each token chosen from the whole vocabulary."""
    decisions = tuple(replace(each, allowed=()) for each in row.encoded.decisions)
    return replace(row, encoded=replace(row.encoded, decisions=decisions))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
