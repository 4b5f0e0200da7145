"""Does the local model learn the easiest household from its own episodes, and in what time?

One task type, rooms of six receptacles. A few demonstrations (with detours), then rounds of
practice; examined greedily on held-out rooms before, after the cold start, and at the end.
`seconds` is everything but the exams.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import perf_counter, process_time

import torch
from transformers import PreTrainedTokenizerBase

from bench.figures import Figure, flags, report
from distill.collate import Chosen, collate, rows_of
from distill.curriculum import compared, dealt, demonstrated, grouped, mixed
from distill.encode import Encoder, Reading
from distill.engine import LocalPolicy, LocalSettings
from distill.excursions import Guide, excursion
from distill.models import (
    DEFAULT_MODEL,
    best_device,
    best_dtype,
    load_model,
    load_tokenizer,
    resolve,
)
from distill.presets import PRESETS, Preset
from distill.render import Renderer
from distill.searching import surveyed
from distill.student import Student, Trained
from distill.teaching import taught
from distill.train import RATES, Pace, Progress, Training, train
from environments.environment import Environment
from environments.episode import Ending, Episode, Split, Step, Task
from environments.errors import ContextFullError
from environments.household.household import Household
from environments.seed import derive
from environments.transcript import Turn, transcript

KIND = "pick_and_place_simple"
RECEPTACLES = 6
LANES, LENGTH = 16, 2048
PRACTICE_STEPS, EXAM_STEPS = 20, 30  # where an episode is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of what."""

    demonstrations: int = 16
    passes: int = 8  # over the demonstrations, each with fresh detours
    rounds: int = 3
    tasks: int = 8  # practised a round
    attempts: int = 8  # at each
    per_step: int = 4  # sequences
    rooms: int = 40  # examined
    untrained: int = 24  # of these also before anything was learned; 0: not examined then
    rate: float | None = None
    preset: str = "reward+critique"
    trained: Trained = Trained.FULL


QUICK = Plan(demonstrations=8, passes=1, rounds=0, rooms=2, untrained=0)
"""Shows that all parts fit together; nothing is learned in so short a time."""


@dataclass(slots=True)
class Pupil:
    """The living things of one run."""

    world: Environment
    tokenizer: PreTrainedTokenizerBase
    training: Training
    encoder: Encoder
    plan: Plan
    seed: int


def main() -> None:
    parser = flags(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/apprentice").expanduser())
    for name in ("passes", "rounds", "tasks", "attempts", "rooms", "per-step", "untrained"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trained", type=Trained, default=Trained.FULL)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="reward+critique")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    given = {k: getattr(options, k) for k in Plan.__dataclass_fields__ if hasattr(options, k)}
    began = QUICK if options.quick else Plan()
    plan = replace(began, **{k: v for k, v in given.items() if v is not None})
    figures: dict[str, Figure] = {}
    for seed in range(options.first, options.first + options.seeds):
        figures |= {f"{k}_seed{seed}": v for k, v in learn(plan, seed, options.cache).items()}
    report("learn_small", figures, json_path=options.json)


def learn(plan: Plan, seed: int, cache: Path) -> dict[str, Figure]:
    pupil = begin(plan, seed, cache)
    world = pupil.world
    held_out = world.tasks(Split.DEV)[: plan.rooms]
    before = solved(pupil, held_out[: plan.untrained]) if plan.untrained else None
    print("before", before, flush=True)
    clock, cpu = perf_counter(), process_time()
    replayed = cold_start(pupil)
    cold_s, cold_cpu = perf_counter() - clock, process_time() - cpu
    cold = solved(pupil, held_out)
    print("cold", cold, cold_s, cold_cpu, flush=True)
    clock, cpu = perf_counter(), process_time()
    for number in range(plan.rounds):
        practise(pupil, number, replayed)
        print("round", number, perf_counter() - clock, process_time() - cpu, flush=True)
    seconds = cold_s + perf_counter() - clock
    cpu_s = cold_cpu + process_time() - cpu
    after = solved(pupil, held_out) if plan.rounds else cold
    return {
        "solved_before": before,
        "solved_cold": cold,
        "solved_after": after,
        "seconds": seconds,
        "cpu_seconds": cpu_s,
    }


def begin(plan: Plan, seed: int, cache: Path) -> Pupil:
    folder = resolve(DEFAULT_MODEL, cache)
    device = best_device()
    model, tokenizer = load_model(folder, best_dtype(device), device), load_tokenizer(folder)
    student = Student(model, plan.trained)
    world = Household.generated(kinds=(KIND,), max_receptacles=RECEPTACLES)
    encoder = Encoder(Renderer(tokenizer), world.instructions, LENGTH, model.config.vocab_size)
    pace = Pace(rate=plan.rate or RATES[plan.trained])
    return Pupil(world, tokenizer, Training(student, pace), encoder, plan, seed)


def cold_start(pupil: Pupil) -> tuple[Chosen, ...]:
    plan, rng = pupil.plan, Random(derive(pupil.seed, "cold start"))
    tasks = pupil.world.tasks(Split.TRAIN)[: plan.demonstrations]
    guide = Guide(environment=pupil.world, whereabouts=surveyed(pupil.world, tasks))
    shown: list[Reading] = []
    for number in range(plan.passes):
        again = [demonstration(guide, task, rng) for task in tasks]
        steps = dealt(demonstrated(again), plan.per_step, rng)
        study(pupil, list(steps), PRESETS["cold-start"], f"cold {number}")
        shown = again
    return demonstrated(shown)


def demonstration(guide: Guide, task: Task, rng: Random) -> Reading:
    plan = guide.environment.gold(task)
    assert plan is not None
    return excursion(guide, task, plan, rng=rng, now=datetime.now(UTC))


def practise(pupil: Pupil, number: int, replayed: Sequence[Chosen]) -> None:
    plan, rng = pupil.plan, Random(derive(pupil.seed, "round", number))
    tasks = rng.sample(pupil.world.tasks(Split.TRAIN), plan.tasks)
    clock = perf_counter()
    episodes = play(pupil, tasks, attempts=plan.attempts, name=f"round{number}", temperature=1.0)
    won = sum(each.solved for each in episodes) / len(episodes)
    steps = sum(len(e.steps) for e in episodes)
    print(f"practice {won:.2f} {steps} steps {perf_counter() - clock:.0f} s", flush=True)
    preset = PRESETS[plan.preset]
    chosen, dropped = compared(grouped(episodes), hints=preset.teaches)
    print(dict(dropped), len(chosen))
    fresh = dealt(chosen, plan.per_step, rng)
    study(pupil, list(mixed(fresh, replayed, 4, rng)), preset, f"round {number}")


def study(pupil: Pupil, steps: Sequence[Sequence[Chosen]], preset: Preset, name: str) -> None:
    student, pace = pupil.training.student, pupil.training.pace
    works = []
    for step in steps:
        rows, dropped = rows_of(pupil.encoder, step)
        work = collate(rows, device=student.device)
        if preset.teaches:
            work = taught(student, work, part_tokens=pace.part_tokens)
        works.append(work)
        if dropped:
            print(dropped)

    def watch(progress: Progress) -> None:
        v = progress.vitals
        print(
            f"{name} step {progress.step}/{progress.of} loss {v.loss:.3f}"
            f" reward {progress.reward:.2f} entropy {v.entropy:.3f} kl {v.kl:.4f}"
            f" |g| {v.gradient:.2f} {progress.tokens_per_s:.0f} tok/s",
            flush=True,
        )

    outcome = train(
        pupil.training, works, preset.objective, clock=process_time, of=len(works), watch=watch
    )
    if outcome.alarm:
        print("ALARM", outcome.alarm)


def solved(pupil: Pupil, tasks: Sequence[Task]) -> float:
    episodes = play(pupil, tasks, attempts=1, name="exam", temperature=0.0)
    print("exam steps", sum(len(e.steps) for e in episodes) / len(episodes))
    return sum(each.solved for each in episodes) / len(episodes)


def play(
    pupil: Pupil, tasks: Iterable[Task], *, attempts: int, name: str, temperature: float
) -> list[Episode]:
    """Return the episodes of some attempts at each task, played together."""
    policy = LocalPolicy(
        "local",
        pupil.training.student.model,
        pupil.tokenizer,
        LocalSettings(lanes=LANES, length=LENGTH, temperature=temperature),
    )

    async def all_of_them() -> list[Episode]:
        told = [
            attempt(
                policy,
                pupil.world,
                task,
                (f"{name}-{task.id}-{i}", derive(pupil.seed, name, task.id, i)),
            )
            for task in tasks
            for i in range(attempts)
        ]
        episodes = await asyncio.gather(*told)
        await policy.close()
        return episodes

    return asyncio.run(all_of_them())


async def attempt(
    policy: LocalPolicy, world: Environment, task: Task, who: tuple[str, int]
) -> Episode:
    identity, seed = who
    play, steps = world.start(task), list[Step]()
    limit = PRACTICE_STEPS if policy.temperature else EXAM_STEPS
    while play.observation.ending is None and len(steps) < limit:
        seen = play.observation
        turn = Turn(
            messages=transcript(world.instructions, "", steps, seen.text),
            admissible=seen.admissible,
            seed=derive(seed, len(steps)),
            episode=identity,
        )
        try:
            completion = await policy.complete(turn)
        except ContextFullError:
            break
        after = play.step(completion.text)
        steps.append(
            Step(
                observation=seen.text,
                admissible=seen.admissible,
                completion=completion,
                action=completion.text,
                reward=after.reward,
            )
        )
    return Episode(
        id=identity,
        task=task,
        steps=tuple(steps),
        ending=play.observation.ending or Ending.TRUNCATED,
        closing=play.observation.text,
        policy=policy.name,
        temperature=policy.temperature,
        seed=seed,
        started=datetime.now(UTC),
        seconds=0.0,
    )


if __name__ == "__main__":
    main()
