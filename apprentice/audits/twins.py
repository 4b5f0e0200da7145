"""Does a vLLM server act as the local policy does? The same attempts by both, and what they said.

The same weights on two engines are twins, not one: their numbers differ in the last bits, and where
two actions are nearly as likely, that decides. How much it is must be known before anything is
learned from the one with the other.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agent.attempt import Attempt
from apprentice.build import make_environment, make_policy, make_rig
from apprentice.distilling.distilling import open_encoder, open_training
from apprentice.runs.runs import Rig, play
from apprentice.settings.acting import LOCAL, VLLM, Named, find_acting, settled
from apprentice.settings.config import Config
from distill.training.mismatch import Mismatch, compared
from environments.episode import Episode, Split
from environments.seed import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The attempts of one engine, beside the trainer's view of them."""

    policy: str
    solved: int
    steps: int
    seconds: float  # with the start of a server, and what else comes first
    mismatch: Mismatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    episodes: int
    same: int  # in which both did the same from beginning to end
    together: int  # steps that both took before they first differed
    served: Played
    own: Played

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def twins(config: Config, split: Split, episodes: int) -> Twins:
    """Return how a server's attempts compare with the local policy's at the same seeds.

    Nothing is kept. Held-out tasks may be played, but what is compared with the trainer is of train
    tasks only.

    Args:
        config: the settings; of its policy, the model and the adapter count.
        split: of the tasks.
        episodes: one attempt at each of so many tasks.
    """
    memory = config.memory.model_copy(update={"recall": "off"})
    config = config.model_copy(update={"memory": memory})
    tasks = make_environment(config).tasks(split)[:episodes]
    attempts = [
        Attempt(id=f"twin-{task.id}", task=task, seed=derive(config.seed, "twin", task.id))
        for task in tasks
    ]
    served, own = (_sitting(config, kind, attempts) for kind in (VLLM, LOCAL))
    both = [(served[0][each.id], own[0][each.id]) for each in attempts]
    return Twins(
        episodes=len(attempts),
        same=sum(a.actions == b.actions and a.ending is b.ending for a, b in both),
        together=sum(_together(a, b) for a, b in both),
        served=served[1],
        own=own[1],
    )


def _sitting(
    config: Config, kind: str, attempts: Sequence[Attempt]
) -> tuple[dict[str, Episode], Played]:
    """Return the attempts of one kind of policy by their ids, and what they amount to."""
    named = replace(Named.parse(config.policy.use), kind=kind)
    config = settled(_using(config, named))
    kept: dict[str, Episode] = {}
    began = time.monotonic()
    with make_rig(config, policy=make_policy(config)) as rig:
        asyncio.run(_play(kind, attempts, rig, kept))
    seconds = time.monotonic() - began
    acting = find_acting(config, replace(Named.parse(config.policy.use), kind=LOCAL))
    training, _ = open_training(config, acting)
    encoder = open_encoder(config, make_environment(config), acting)
    trained = [each for each in kept.values() if each.task.split is Split.TRAIN]
    found, _ = compared(training.student, encoder, trained, config.distill.part_tokens)
    return kept, Played(
        policy=next(iter(kept.values())).policy if kept else config.policy.use,
        solved=sum(each.solved for each in kept.values()),
        steps=sum(len(each.steps) for each in kept.values()),
        seconds=seconds,
        mismatch=found,
    )


async def _play(kind: str, attempts: Sequence[Attempt], rig: Rig, kept: dict[str, Episode]) -> None:
    def keep(episode: Episode) -> None:
        kept[episode.id] = episode

    try:
        await play(f"twins-{kind}", attempts, rig, keep=keep)
    finally:
        await rig.policy.close()


def _using(config: Config, named: Named) -> Config:
    actor = config.policy.model_copy(update={"use": str(named)})
    return config.model_copy(update={"policy": actor})


def _together(a: Episode, b: Episode) -> int:
    """Return how many first steps are the same."""
    pairs = zip(a.steps, b.steps, strict=False)
    differing = (i for i, (x, y) in enumerate(pairs) if x.action != y.action)
    return next(differing, min(len(a.steps), len(b.steps)))
