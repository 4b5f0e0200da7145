"""What the learning benches share: a model, its cold start, its practice and its exams.

The same parts as the product's own loop, without its store and its graph, so that a learning curve
also runs where there is nothing but torch. `seconds` is what learning takes, exams left out.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from time import perf_counter
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from agent.policy import Policy
from agent.scripted import RandomPolicy
from distill.engine.engine import LocalPolicy, LocalSettings
from distill.models.adapters import Adapters, Lineage
from distill.models.models import (
    DEFAULT_MODEL,
    best_device,
    best_dtype,
    load_model,
    load_tokenizer,
    resolve,
)
from distill.models.student import Student, Trained
from distill.objectives.presets import PRESETS
from distill.sequences.collate import Chosen, fed, rows_of
from distill.sequences.encode import Encoder, Reading
from distill.sequences.render import Renderer
from distill.teaching.curriculum import compared, dealt, demonstrated, grouped, successes
from distill.teaching.excursions import Detours, Guide, excursion
from distill.teaching.searching import surveyed
from distill.teaching.walks import found_walking
from distill.training.study import Studied, study
from distill.training.train import Pace, Progress, Training
from environments.environment import Environment
from environments.episode import Ending, Episode, Split, Step, Task
from environments.errors import ContextFullError
from environments.seed import derive
from environments.transcript import Turn, transcript
from environments.untried import untried
from memory.making.hindsight import retold
from memory.making.prune import prune

LANES = 16
STEPS = 30  # of an exam
CONTEXT = 2048
"""Tokens that whoever acts may read. Shorter ones end an exam of easy rooms after 13 to 20 steps:
the same weights solved 26 of 40 at 1,024 and 29 at 2,048 (docs/log.md, 2026-12-01)."""
WARMUP = 10

COLD_SHARE = 0.72
"""Of the time that is left, for the cold start; the rest is for practice and the exam."""

EXAM_S = 300.0
"""Left for the last exam."""

TRIED = 4
"""Steps, at next to no learning rate, by which the machine's speed is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How much of what is learned."""

    demonstrations: int
    passes: int  # over the demonstrations, each with fresh detours
    variants: int = 1  # of each demonstration in a pass, learned in one step
    walks: int = 0  # at random before the cold start; what they solved is shown once each
    rate: float = 1e-4  # falls to 0 over the cold start
    per_step: int = 4  # demonstrations, or attempts, that one step learns from
    rounds: int = 0  # of practice
    tasks: int = 8  # practised a round
    attempts: int = 8  # at each
    practice_rate: float = 3e-5
    practice_steps: int = 20  # of an attempt
    temperature: float = 1.0
    replay: int = 4  # old demonstrations for each step that compares attempts
    preset: str = "reward+critique"
    trained: Trained = Trained.FULL
    length: int = 2048  # tokens of a transcript that is learned from
    detours: Detours = field(default_factory=Detours)
    briefed: float = 0.0  # share of the demonstrations before which memory says something


@dataclass(slots=True)
class Pupil:
    """Somebody at school: what he is, where he lives, and how long he has learned."""

    world: Environment
    tokenizer: PreTrainedTokenizerBase
    student: Student
    encoder: Encoder
    course: Course
    seed: int
    seconds: float = 0.0
    round_seconds: float = 0.0  # the last round took
    episodes: int = 0  # of his own
    plans: dict[Task, tuple[str, ...]] = field(default_factory=dict[Task, tuple[str, ...]])
    """How tasks are solved: as he was shown at first, later as he found out himself."""
    learned_from: list[str] = field(default_factory=list[str])  # ids of his own episodes
    recalled: Mapping[str, str] = field(default_factory=dict[str, str])
    """What memory says before a demonstration, by the id of its task; never its own solution."""

    @property
    def until(self) -> float:
        """Return the moment at which he began, had he done nothing but learn."""
        return perf_counter() - self.seconds


def enrolled(world: Environment, course: Course, seed: int, cache: Path) -> Pupil:
    """Return a pupil who knows what the base model knows."""
    folder = resolve(DEFAULT_MODEL, cache)
    device = best_device()
    model, tokenizer = load_model(folder, best_dtype(device), device), load_tokenizer(folder)
    encoder = Encoder(
        Renderer(tokenizer), world.instructions, course.length, model.config.vocab_size
    )
    student = Student(model, course.trained)
    return Pupil(world, tokenizer, student, encoder, course, seed)


def take_weights(pupil: Pupil, kept: Path) -> None:
    """Give him the weights that `student.copy` gave for a file."""
    weights = torch.load(kept, weights_only=True)
    pupil.student.load(cast("dict[str, torch.Tensor]", weights))


def cold_start(
    pupil: Pupil, deadline: float | None = None, tasks: Sequence[Task] | None = None
) -> None:
    """Imitate demonstrations of some train tasks, again and again, with other detours each time.

    With a deadline there are only so many passes as are done in `COLD_SHARE` of the time left, at
    the speed of the first steps, so that the learning rate has fallen when the time is over.

    Args:
        pupil: who learns.
        deadline: when everything has to be over.
        tasks: of the train split; None: as many as his course says, drawn by his seed.
    """
    course, rng, began = pupil.course, Random(derive(pupil.seed, "cold start")), pupil.until
    tasks = tasks or rng.sample(pupil.world.tasks(Split.TRAIN), course.demonstrations)
    pupil.plans = {task: pupil.world.gold(task) or () for task in tasks}
    every = [task for task in tasks for _ in range(course.variants)]
    found = _walked(pupil, rng)
    guide = _guide(pupil)
    passes = [
        list(dealt(_carried_out(pupil, guide, [*every, *once], rng), course.per_step, rng))
        for once in (found[number :: course.passes] for number in range(course.passes))
    ]
    steps = [step for each in passes for step in each]
    if deadline is not None:
        pace = Pace(rate=course.rate, warmup=len(steps))
        left = COLD_SHARE * (deadline - perf_counter())
        tried = _study(pupil, Training(pupil.student, pace), steps[:TRIED], "cold-start")
        affordable = int(left * tried.tokens / tried.seconds / _tokens(pupil, passes[0]))
        steps = [step for each in passes[: max(1, affordable)] for step in each][TRIED:]
    pace = Pace(rate=course.rate, warmup=WARMUP, until=len(steps))
    _study(pupil, Training(pupil.student, pace), steps, "cold-start")
    pupil.seconds = perf_counter() - began


def _walked(pupil: Pupil, rng: Random) -> list[Task]:
    """Let him find out plans by walking at random, and return the tasks that they solve."""
    world, now, found = pupil.world, datetime.now(UTC), list[Task]()
    others = [task for task in world.tasks(Split.TRAIN) if task not in pupil.plans]
    for task in rng.sample(others, min(pupil.course.walks, len(others))):
        for solved, plan in found_walking(world, task, rng=rng, now=now):
            if pupil.plans.setdefault(solved, plan) is plan:
                found.append(solved)
    return found


def practise(pupil: Pupil, number: int, deadline: float | None = None) -> bool:
    """Attempt some train tasks several times each, and learn from comparing the attempts.

    Returns:
        Whether there was time for it: not if a round of the same length would miss the deadline.
    """
    if deadline is not None and perf_counter() + pupil.round_seconds > deadline - EXAM_S:
        return False
    course, began = pupil.course, pupil.until
    rng = Random(derive(pupil.seed, "round", number))
    tasks = rng.sample(pupil.world.tasks(Split.TRAIN), course.tasks)
    episodes = played(pupil, tasks, attempts=course.attempts, name=f"round {number}")
    pupil.episodes += len(episodes)
    pupil.learned_from += [each.id for each in episodes]
    groups, preset = grouped(episodes), PRESETS[course.preset]
    chosen, dropped = compared(groups, hints=preset.teaches)
    fresh = list(dealt(chosen, course.per_step, rng))
    old, new = list(pupil.plans), found_out(pupil.world, groups, pupil.plans)
    pupil.plans |= new
    again = rng.sample(old, min(len(old), max(len(new), course.replay * len(fresh))))
    shown = dealt(_carried_out(pupil, _guide(pupil), [*new, *again], rng), course.per_step, rng)
    won = sum(each.solved for each in episodes) / len(episodes)
    print(
        f"round {number}: {won:.0%} of {len(episodes)} solved, {len(new)} tasks for the first"
        f" time, {len(chosen)} compared, {dict(dropped)}",
        flush=True,
    )
    steps = [*fresh, *shown]  # what is fresh first, gently, while it is still the policy's own
    warmup = max(WARMUP, len(fresh))
    pace = Pace(rate=course.practice_rate, warmup=warmup, until=len(steps) + 1)
    _study(pupil, Training(pupil.student, pace), steps, course.preset)
    pupil.round_seconds = perf_counter() - began - pupil.seconds
    pupil.seconds = perf_counter() - began
    return True


def found_out(
    world: Environment, groups: Sequence[Sequence[Episode]], known: Collection[Task]
) -> dict[Task, tuple[str, ...]]:
    """Return how tasks can be solved that nobody knew of: as the best attempt did, to the point.

    What failed is looked at in hindsight: it solved something else, perhaps.
    """
    failed = (each for group in groups for each in group if not each.solved)
    other = grouped(told for each in failed for told in retold(each, world))
    best = (chosen.reading.episode for chosen in successes([*groups, *other]))
    proven = ((each.task, prune(each, world)) for each in best if each.task not in known)
    return {
        task: tuple(move.action for move in pruned.moves)
        for task, pruned in proven
        if pruned.replayed
    }


def played(
    pupil: Pupil,
    tasks: Iterable[Task],
    *,
    attempts: int = 1,
    name: str = "",
) -> list[Episode]:
    """Return the episodes of some attempts at each task; without a name it is a greedy exam."""
    policy = acting(pupil, pupil.course.temperature if name else 0.0)
    most = pupil.course.practice_steps if name else STEPS
    plans = [(task, (name, i, most)) for task in tasks for i in range(attempts)]
    return asyncio.run(_all(pupil, policy, plans))


def acting(pupil: Pupil, temperature: float = 0.0) -> LocalPolicy:
    """Return the pupil as a policy, as he is now."""
    settings = LocalSettings(lanes=LANES, length=CONTEXT, temperature=temperature)
    return LocalPolicy("local", pupil.student.model, pupil.tokenizer, settings)


def keep(pupil: Pupil, home: Path, name: str, objective: str) -> None:
    """Keep the student as an adapter of this name in a home of the product's."""
    lineage = Lineage(
        name=name,
        base=DEFAULT_MODEL,
        parent=None,
        trained=pupil.course.trained,
        objective=objective,
        episodes=tuple(pupil.learned_from),
        walkthroughs=tuple(task.id for task in islice(pupil.plans, pupil.course.demonstrations)),
        seed=pupil.seed,
        made=datetime.now(UTC),
    )
    Adapters(home / "adapters").add(pupil.student, pupil.tokenizer, lineage)


def random_walks(pupil: Pupil, tasks: Iterable[Task]) -> list[Episode]:
    """Return what comes of acting at random."""
    policy = RandomPolicy()
    return asyncio.run(_all(pupil, policy, [(task, ("random", 0, STEPS)) for task in tasks]))


async def _all(
    pupil: Pupil, policy: Policy, plans: Sequence[tuple[Task, tuple[str, int, int]]]
) -> list[Episode]:
    episodes = await asyncio.gather(*(_attempt(pupil, policy, *plan) for plan in plans))
    await policy.close()
    return episodes


def _guide(pupil: Pupil) -> Guide:
    """Return who shows what the pupil knows plans of."""
    known = surveyed(pupil.world, pupil.plans)
    return Guide(environment=pupil.world, whereabouts=known, detours=pupil.course.detours)


def _carried_out(
    pupil: Pupil, guide: Guide, tasks: Iterable[Task], rng: Random
) -> tuple[Chosen, ...]:
    """Return demonstrations of tasks that he knows a plan of, with detours of their own."""
    now = datetime.now(UTC)
    readings = (excursion(guide, task, pupil.plans[task], rng=rng, now=now) for task in tasks)
    return demonstrated(_reminded(pupil, each) for each in readings)


def _reminded(pupil: Pupil, reading: Reading) -> Reading:
    """Return the demonstration, perhaps as it is read after what memory recalls of other tasks.

    Its own chance decides, so that the demonstrations are the same ones with any share of them.
    """
    episode = reading.episode
    chance = Random(derive(pupil.seed, "briefed", episode.id)).random()
    if chance >= pupil.course.briefed:
        return reading
    briefing = pupil.recalled.get(episode.task.id, "")
    return replace(reading, episode=replace(episode, briefing=briefing))


def _tokens(pupil: Pupil, steps: Iterable[Sequence[Chosen]]) -> int:
    rows = (row for step in steps for row in rows_of(pupil.encoder, step)[0])
    return sum(fed(row.encoded) for row in rows)


def _study(
    pupil: Pupil, training: Training, steps: Sequence[Sequence[Chosen]], preset: str
) -> Studied:
    def watch(progress: Progress) -> None:
        vitals = progress.vitals
        if progress.step % 10 == 0 or progress.step == progress.of:
            print(
                f"{preset} {progress.step}/{progress.of} loss {vitals.loss:.3f}"
                f" entropy {vitals.entropy:.3f} kl {vitals.kl:.4f} |g| {vitals.gradient:.2f}"
                f" {progress.tokens_per_s:.0f} tokens/s",
                flush=True,
            )

    done = study(training, pupil.encoder, steps, PRESETS[preset], clock=perf_counter, watch=watch)
    if done.outcome.alarm or done.dropped:
        print(f"{done.outcome.alarm or 'no alarm'}, dropped {dict(done.dropped)}", flush=True)
    return done


async def _attempt(
    pupil: Pupil, policy: Policy, task: Task, which: tuple[str, int, int]
) -> Episode:
    name, number, most = which
    identity, seed = f"{name}-{task.id}-{number}", derive(pupil.seed, name, task.id, number)
    play, steps = pupil.world.start(task), list[Step]()
    while play.observation.ending is None and len(steps) < most:
        seen = play.observation
        admissible = untried(seen.text, seen.admissible, steps)
        turn = Turn(
            messages=transcript(pupil.world.instructions, "", steps, seen.text),
            admissible=admissible,
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
                admissible=admissible,
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
