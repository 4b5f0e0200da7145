"""The runs that a claim of learning is held against: the same training under other rewards.

Each begins from the same weights and takes the same number of attempts. With and without clipping,
because clipping alone amplifies what a policy already prefers, even when the reward is noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.random import Generator

from distill.audit.spurious import Twin, rewards
from distill.objectives.objective import only
from distill.objectives.presets import Preset
from distill.objectives.reinforce import clipped, reinforce, unclipped
from distill.sequences.batch import Source
from environments.episode import Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the runs."""

    twin: Twin = Twin.TRUE
    clips: bool = True
    one_task: bool = False  # all attempts at the same task

    @property
    def name(self) -> str:
        return (
            f"{self.twin}, {'clipped' if self.clips else 'unclipped'}"
            f"{', one task' if self.one_task else ''}"
        )

    @property
    def reference(self) -> "Arm":
        """Return the true run that it is held against."""
        return Arm(clips=self.clips)

    @property
    def preset(self) -> Preset:
        """Return its objective: the reward and nothing else, which demonstrations would hide."""
        surrogate = clipped() if self.clips else unclipped
        objective = only(Source.ROLLOUT, reinforce(surrogate))
        return Preset(objective=objective, practises=True, teaches=False)


def arms(twins: Sequence[Twin], *, unclipped_too: bool = True) -> tuple[Arm, ...]:
    """Return the runs: the true one first, then these twins of it, and last the one-task run."""
    named = dict.fromkeys((Twin.TRUE, *twins))
    clips = (True, False) if unclipped_too else (True,)
    return (
        *(Arm(twin=twin, clips=clip) for clip, twin in product(clips, named)),
        Arm(one_task=True),
    )


def repaid(
    groups: Sequence[Sequence[Episode]], twin: Twin, rng: Generator
) -> tuple[tuple[Episode, ...], ...]:
    """Return the same attempts, paid as this twin pays: all of it for the last step.

    Args:
        groups: as many attempts at each task.
        twin: what is paid for.
        rng: shuffles, or tosses the coins.
    """
    reward_PN = np.array([[each.reward for each in group] for group in groups])
    formed_PN = np.array([[_well_formed(each) for each in group] for group in groups])
    paid_PN = rewards(twin, reward_PN, formed_PN, rng)
    return tuple(
        tuple(_paid(each, float(pay)) for each, pay in zip(group, pay_N, strict=True))
        for group, pay_N in zip(groups, paid_PN, strict=True)
    )


def _well_formed(episode: Episode) -> bool:
    return all(step.action is not None for step in episode.steps)


def _paid(episode: Episode, reward: float) -> Episode:
    if not episode.steps:
        return episode
    unpaid = [replace(step, reward=0.0) for step in episode.steps]
    return replace(episode, steps=(*unpaid[:-1], replace(unpaid[-1], reward=reward)))
