"""How fast the local policy plays household games, beside calling `generate` at every step.

Every figure is of one run on the same games and seeds; `--quick` plays fewer games.
The baseline answers turns of these very games the way transformers is usually asked: the whole
transcript, sampled under the same token trie, one turn at a time (`ratio_generate_16`) and sixteen
turns left-padded into one batch (`ratio_generate_batch_16`).
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, cast

import torch

from bench.figures import Figure, flags, report
from distill.engine.engine import LocalPolicy, LocalSettings
from distill.models.models import DEFAULT_MODEL, best_dtype, load_model, load_tokenizer, resolve
from distill.sequences.render import Renderer
from distill.sequences.trie import grow
from environments.episode import Split, Step, Task
from environments.errors import ContextFullError
from environments.household.household import Household
from environments.seed import derive
from environments.transcript import Turn, transcript

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LENGTH = 4096  # tokens a lane holds; an episode that needs more ends there


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    steps: dict[int, int]  # by number of lanes: of each episode, at most
    turns: int  # answered by `generate` one at a time
    batch: int  # answered by `generate` in one batch


FULL = Size(steps={1: 30, 4: 30, 16: 30, 32: 30}, turns=16, batch=16)
QUICK = Size(steps={1: 10, 16: 18}, turns=4, batch=4)
"""Games of nearly full length at the two widths that are quoted: a shorter transcript flatters
`generate`, which reads it whole at every step."""


@dataclass(frozen=True, slots=True)
class Played:
    """Episodes played, and how long that took."""

    episodes: list[tuple[Step, ...]]
    turns: list[Turn]
    seconds: float

    @property
    def steps(self) -> int:
        return sum(len(steps) for steps in self.episodes)

    @property
    def tokens(self) -> int:
        """Return the tokens of all final transcripts: each had to be computed once."""
        last = (steps[-1].completion for steps in self.episodes)
        return sum(each.prompt_tokens + each.completion_tokens for each in last)


async def play(policy: LocalPolicy, world: Household, tasks: Sequence[Task], most: int) -> Played:
    """Play each task once, as many at a time as the policy is wide."""
    room = asyncio.Semaphore(policy.width)
    turns: list[Turn] = []

    async def one(number: int, task: Task) -> tuple[Step, ...]:
        async with room:
            steps: list[Step] = []
            playing = world.start(task)
            while (now := playing.observation).ending is None and len(steps) < most:
                turn = Turn(
                    messages=transcript(world.instructions, "", steps, now.text),
                    admissible=now.admissible,
                    seed=derive(number, len(steps)),
                    episode=str(number),
                )
                try:
                    said = await policy.complete(turn)
                except ContextFullError:
                    break
                turns.append(turn)
                steps.append(
                    Step(
                        observation=now.text,
                        admissible=now.admissible,
                        completion=said,
                        action=said.text,
                    )
                )
                playing.step(said.text)
        return tuple(steps)

    began = time.perf_counter()
    episodes = await asyncio.gather(*(one(i, task) for i, task in enumerate(tasks)))
    return Played(episodes, turns, time.perf_counter() - began)


def generate(model: PreTrainedModel, renderer: Renderer, turns: Sequence[Turn]) -> float:
    """Return the seconds `generate` takes to answer these turns in one left-padded batch."""
    prompts = [renderer.prompt(turn.messages) for turn in turns]
    width = max(len(prompt) for prompt in prompts)
    roots = [grow(renderer.action(text) for text in turn.admissible) for turn in turns]

    def allowed(row: int, ids: torch.Tensor) -> list[int]:
        node = roots[row]
        for token in cast("list[int]", ids[width:].tolist()):
            node = node.after.get(token, node)
        return list(node.allowed) or [renderer.end]

    padded = [[renderer.end] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    real = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    began = time.perf_counter()
    cast("Any", model).generate(
        torch.tensor(padded),
        attention_mask=torch.tensor(real),
        prefix_allowed_tokens_fn=allowed,
        max_new_tokens=32,
        do_sample=True,
        top_k=0,
        pad_token_id=renderer.end,
    )
    return time.perf_counter() - began


def spread(turns: Sequence[Turn], count: int) -> list[Turn]:
    """Return so many turns, from early to late in the games."""
    ordered = sorted(turns, key=lambda turn: len(turn.messages))
    return ordered[:: max(1, len(ordered) // count)][:count]


def differing(one: Played, other: Played) -> float:
    """Return the share of episodes that are not the same, token for token, as far as both go."""
    pairs = list(zip(one.episodes, other.episodes, strict=False))
    return sum(_differ(left, right) for left, right in pairs) / len(pairs)


def _differ(left: Sequence[Step], right: Sequence[Step]) -> bool:
    common = zip(left, right, strict=False)
    return any(a.completion.token_ids != b.completion.token_ids for a, b in common)


def measure(world: Household, folder: Path, size: Size) -> dict[str, Figure]:
    dtype = best_dtype(torch.device("cpu"))
    model = load_model(folder, dtype, torch.device("cpu"))
    tokenizer = load_tokenizer(folder)
    catalogue = world.tasks(Split.TRAIN)
    played: dict[int, Played] = {}
    for lanes, most in size.steps.items():
        settings = LocalSettings(lanes=lanes, length=LENGTH)
        policy = LocalPolicy(DEFAULT_MODEL, model, tokenizer, settings)
        tasks = list(islice(cycle(catalogue), lanes))
        played[lanes] = asyncio.run(play(policy, world, tasks, most))
        asyncio.run(policy.close())
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # before the baseline adds its own
    ours = played[16].steps / played[16].seconds
    renderer = Renderer(tokenizer)
    chosen = spread(played[16].turns, size.turns)
    generate(model, renderer, chosen[:1])  # the first call imports for 10 s; that is not its speed
    single = sum(generate(model, renderer, [turn]) for turn in chosen) / len(chosen)
    group = spread(played[16].turns, size.batch)
    batched = generate(model, renderer, group) / len(group)
    figures: dict[str, Figure] = {
        f"steps_per_s_{lanes}": each.steps / each.seconds for lanes, each in played.items()
    }
    return figures | {
        "ratio_generate_16": ours * single,
        "ratio_generate_batch_16": ours * batched,
        "tokens_per_s_16": played[16].tokens / played[16].seconds,
        "tokens_per_step_16": played[16].tokens / played[16].steps,
        "episodes_differ_1_16": differing(played[1], played[16]),
        "peak_rss_mb": peak_kb / 1024,
        "dtype": str(dtype).removeprefix("torch."),
    }


def _world(games: Path | None) -> Household:
    return Household.generated() if games is None else Household.from_games(games)


def main() -> None:
    parser = flags(__doc__)
    parser.add_argument("--games", type=Path, help="ALFWorld games instead of generated ones")
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "apprentice-bench")
    options = parser.parse_args()
    folder = resolve(DEFAULT_MODEL, options.cache)
    figures = measure(_world(options.games), folder, QUICK if options.quick else FULL)
    report("rollout", figures, json_path=options.json, packages=("torch", "transformers"))


if __name__ == "__main__":
    main()
