"""What memory does for a policy on household tasks: none, demonstrations, lessons, and both.

Every arm plays the same held-out tasks with the same seeds. Memory is made of experience on train
tasks: walkthroughs with detours, which stand for a teacher, and the policy's own attempts. Lessons
come from rules over what was recorded unless a critic is named; nothing is proved first, so this
shows what memory does as it comes. A policy that never acts in vain teaches such rules no lesson,
so `--tried-by` lets another make the attempts; one that solves nearly everything leaves memory no
room, so `--weights` takes those of a short cold start, as `bench.searching` keeps them.
"""

import asyncio
import shutil
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from scipy.stats import t as student

from agent.attempt import Attempt
from agent.policy import Policy
from apprentice.build import (
    STORE,
    make_bank,
    make_environment,
    make_policy,
    make_rig,
    make_store,
    now,
)
from apprentice.loop.absorbing import Learned, learn_from
from apprentice.runs.runs import play
from apprentice.settings.config import Config, load
from bench.figures import Figure, flags, report
from environments.environment import Environment
from environments.episode import Completion, Ending, Episode, Split, Step, Task
from environments.seed import derive
from memory.knowledge.items import Demonstration, Item, Lesson, Standing
from memory.proof.intervals import mcnemar_different, paired, wilson

ARMS: Mapping[str, tuple[type[Item], ...]] = {
    "none": (),
    "demonstrations": (Demonstration,),
    "lessons": (Lesson,),
    "both": (Demonstration, Lesson),
}
DETOURS = 3  # actions before each step of a walkthrough, at most
TEACHER = "walkthrough"

QUICK = {"policy": "random", "tasks": 18, "walkthroughs": 12, "attempts": 12}


@dataclass(frozen=True, slots=True)
class Arm:
    """How the tasks went, in their order."""

    name: str
    episodes: tuple[Episode, ...]
    memories: int = 0  # that might have been recalled

    @property
    def solved(self) -> int:
        return sum(each.solved for each in self.episodes)

    @property
    def steps(self) -> list[int]:
        return [len(each.steps) for each in self.episodes]


def main() -> None:
    options = options_of()
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        arms = asyncio.run(measured(options, Path(folder), arms=options.arms))
    print(table(arms) + "\n")
    told = ("policy", "weights", "tried_by", "critic", "limit", "walkthroughs", "attempts")
    told += ("budget", "seed")
    given = {name: str(getattr(options, name)) for name in told}
    report(
        "memory_household",
        {**given, **figures(arms)},
        json_path=options.json,
        packages=("torch", "transformers", "sentence-transformers"),
    )


async def measured(
    options: Namespace,
    folder: Path,
    policy: Policy | None = None,
    arms: Iterable[str] = tuple(ARMS),
) -> list[Arm]:
    """Gather experience, make memories of it, and let arms play the held-out tasks.

    Args:
        options: the flags.
        folder: where all of it may be kept.
        policy: who acts; None: whom the flags name.
        arms: of `ARMS`.
    """
    config = settings(options, folder / "lived")
    world = make_environment(config)
    if policy is None:
        policy = weak(options, world) if options.weights else make_policy(config)
    try:
        await lived(config, policy, world, options)
        with make_store(config) as store, make_bank(config) as bank:
            episodes = list(store.episodes(split=Split.TRAIN))
            print(made_of(episodes, await learn_from(config, episodes, bank)), flush=True)
        tasks, played = world.tasks(Split.DEV)[: options.tasks], list[Arm]()
        for name in arms:
            played.append(await arm(name, config, policy, tasks, folder / name))
            print(f"{name}: {played[-1].solved} of {len(tasks)} solved", flush=True)
        return played
    finally:
        await policy.close()


async def lived(config: Config, policy: Policy, world: Environment, options: Namespace) -> None:
    """Gather the experience: the policy's own, or that of whoever tries in its place."""
    if options.tried_by is None:
        return await live(config, policy, world, options)
    tries = config.policy.model_copy(update={"use": options.tried_by})
    other = make_policy(config.model_copy(update={"policy": tries}))
    try:
        await live(config, other, world, options)
    finally:
        await other.close()


def weak(options: Namespace, world: Environment) -> Policy:
    """Return the default model with the weights of a file."""
    from bench.schooling import Course, acting, enrolled, take_weights

    course = Course(demonstrations=0, passes=0)
    pupil = enrolled(world, course, options.seed, Path("~/.cache/apprentice").expanduser())
    take_weights(pupil, options.weights)
    return acting(pupil, options.temperature)


def made_of(episodes: Sequence[Episode], learned: Learned) -> str:
    """Return what came of experience, in one line: a critic that nobody believes shows here."""
    kinds = Counter(type(item).__name__.lower() for item in learned.items)
    told = learned.episodes
    failed = sum(not each.solved for each in episodes)
    skipped = {reason.value: many for reason, many in told.skipped.items() if many}
    return (
        f"{len(episodes)} episodes, {failed} unsolved: {dict(kinds)}, "
        f"{len(told.critiques)} critiques; {skipped | dict(told.rejections)}"
    )


def settings(options: Namespace, home: Path) -> Config:
    world: dict[str, Any] = {"games": options.games}
    if options.games is None:
        world["settings"] = {"max_receptacles": options.receptacles}
    if options.kind is not None:
        world["settings"] = {**world.get("settings", {}), "kinds": [options.kind]}
    return load(
        {
            "home": home,
            "seed": options.seed,
            "environment": world,
            "policy": {"use": options.policy, "temperature": options.temperature},
            "limits": {"steps": options.limit},
            "critic": {"use": options.critic},
            "memory": {"recall": "off", "budget": options.budget},
        }
    )


async def live(config: Config, policy: Policy, world: Environment, options: Namespace) -> None:
    """Store walkthroughs of some train tasks, and the policy's own attempts at these and others."""
    tasks = world.tasks(Split.TRAIN)
    with make_rig(config, policy=policy) as rig:
        rig.store.add_all(walked(world, task) for task in tasks[: options.walkthroughs])
        attempts = [
            Attempt(id=f"own-{n}", task=task, seed=derive(config.seed, "own", task.id), run="own")
            for n, task in enumerate(tasks[: options.attempts])
        ]

        def keep(episode: Episode) -> None:
            rig.store.add(episode)

        await play("own", attempts, rig, keep=keep)


def walked(world: Environment, task: Task) -> Episode:
    """Return a walkthrough with detours that change nothing, as an episode."""
    rng, play, steps = Random(derive(TEACHER, task.id)), world.start(task), list[Step]()

    def act(action: str) -> None:
        seen = play.observation
        if seen.ending is None and action in seen.admissible:
            reward = play.step(action).reward
            steps.append(
                Step(
                    observation=seen.text,
                    admissible=seen.admissible,
                    completion=Completion(text=action),
                    action=action,
                    reward=reward,
                )
            )

    for action in world.gold(task) or ():
        for detour in rng.choices(("look", "inventory"), k=rng.randrange(DETOURS + 1)):
            act(detour)
        act(action)
    return Episode(
        id=f"{TEACHER}-{task.id}",
        task=task,
        steps=tuple(steps),
        ending=play.observation.ending or Ending.TRUNCATED,
        closing=play.observation.text,
        policy=TEACHER,
        seed=0,
        started=now(),
        seconds=0.0,
    )


def lent(name: str, config: Config, home: Path) -> tuple[Config, int]:
    """Copy the bank, so that no arm sees another; return the settings, and the memories in use."""
    recall = config.memory.model_copy(update={"recall": "worth" if ARMS[name] else "off"})
    home.mkdir()
    shutil.copy(config.home / STORE, home / STORE)
    config = config.model_copy(update={"home": home, "memory": recall})
    with make_bank(config) as bank:
        for item in bank.items():
            if isinstance(item, ARMS[name]):
                bank.set_standing(item.id, Standing.ACTIVE, "bench", now())
        return config, bank.count(standing=Standing.ACTIVE)


async def arm(name: str, config: Config, policy: Policy, tasks: Sequence[Task], home: Path) -> Arm:
    """Play the tasks with some of the memories."""
    config, memories = lent(name, config, home)
    attempts = [
        Attempt(id=f"{name}-{n}", task=task, seed=derive(config.seed, "exam", task.id))
        for n, task in enumerate(tasks)
    ]
    done: dict[str, Episode] = {}
    with make_rig(config, policy=policy) as rig:
        briefed = attempts if rig.reminder is None else rig.reminder.brief(attempts, {})
        await play(name, briefed, rig, keep=lambda each: done.update({each.id: each}))
    return Arm(name, tuple(done[each.id] for each in attempts), memories)


def figures(arms: Sequence[Arm]) -> dict[str, Figure]:
    """Return the share solved and the mean steps of each arm, and what differs from no memory."""
    found: dict[str, Figure] = {"tasks": len(arms[0].episodes)}
    for each in arms:
        low, high = wilson(each.solved / len(each.episodes), len(each.episodes)).tolist()
        found |= {
            f"{each.name}_solved": each.solved,
            f"{each.name}_solved_low": low,
            f"{each.name}_solved_high": high,
            f"{each.name}_mean_steps": float(np.mean(each.steps)),
            f"{each.name}_memories": each.memories,
            f"{each.name}_briefed": sum(bool(episode.briefing) for episode in each.episodes),
            **{f"{each.name}_{name}": value for name, value in beside(each, arms[0]).items()},
        }
    return found


def beside(arm: Arm, bare: Arm) -> dict[str, Figure]:
    """Return the paired differences of an arm from the one without memory, with 95 % intervals."""
    pairs = list(zip(arm.episodes, bare.episodes, strict=True))
    wins = sum(one.solved and not other.solved for one, other in pairs)
    losses = sum(other.solved and not one.solved for one, other in pairs)
    low, high = paired(wins, losses, len(pairs)).tolist()
    fewer = np.array([len(one.steps) - len(other.steps) for one, other in pairs], dtype=float)
    spread = float(student.ppf(0.975, len(pairs) - 1) * fewer.std(ddof=1) / len(pairs) ** 0.5)
    return {
        "wins": wins,
        "losses": losses,
        "gain_low": low,
        "gain_high": high,
        "p": float(mcnemar_different(wins, losses)),
        "steps_more": float(fewer.mean()),
        "steps_more_plus_minus": spread,
    }


def table(arms: Sequence[Arm]) -> str:
    """Return the table for a person, as Markdown."""
    rows = [
        "| memory | items | solved | 95 % | mean steps | gain over none | 95 % | briefed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    found = figures(arms)
    for each in arms:
        own = {k.removeprefix(f"{each.name}_"): v for k, v in found.items()}
        gain = (each.solved - arms[0].solved) / len(each.episodes)
        rows.append(
            f"| {each.name} | {each.memories} | {each.solved} of {len(each.episodes)} "
            f"| {own['solved_low']:.0%} to {own['solved_high']:.0%} | {own['mean_steps']:.1f} "
            f"| {gain:+.1%} | {own['gain_low']:+.1%} to {own['gain_high']:+.1%} "
            f"| {own['briefed']} |"
        )
    return "\n".join(rows)


def options_of(arguments: Sequence[str] | None = None) -> Namespace:
    """Return the flags of a run; those of this process unless given."""
    parser = flags(__doc__)
    parser.add_argument("--policy", default="local:smollm2-135m", help="as in apprentice run")
    parser.add_argument("--weights", type=Path, help="of the default model, in place of --policy")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--critic", default="evidence", help="as in apprentice absorb")
    parser.add_argument("--games", type=Path, help="a packed games file or the official download")
    parser.add_argument("--receptacles", type=int, default=6, help="of generated rooms, at most")
    parser.add_argument("--kind", help="only this task type")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS], help="beside none")
    parser.add_argument("--tasks", type=int, default=120, help="held-out tasks")
    parser.add_argument("--walkthroughs", type=int, default=60, help="train tasks shown")
    parser.add_argument("--attempts", type=int, default=60, help="train tasks tried")
    parser.add_argument("--tried-by", help="who tries them [the policy itself], such as random")
    parser.add_argument("--limit", type=int, default=30, help="steps of an episode")
    parser.add_argument("--budget", type=int, default=300, help="tokens of a briefing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of torch; left out: one for each core")
    options = parser.parse_args(arguments)
    options.arms = [name for name in ARMS if name == "none" or name in options.arms]
    if options.quick:
        vars(options).update(QUICK)
    return options


if __name__ == "__main__":
    main()
