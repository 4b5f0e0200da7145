"""Demonstrations with detours: what an expert does after somebody strayed.

An expert who knows where things are never shows how to search, and a policy that imitates him walks
in circles once it is lost. So detours are walked before his steps, read but not imitated, and he
goes on from where they end. A detour is random (an excursion) or the policy's own (a correction).
Knows nothing of any world but its plays, which must list their actions: where a plan can be taken
up again is found by trying.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from distill.batch import Source
from distill.encode import Reading
from environments.environment import Environment, Forkable, Observation, Play
from environments.episode import Completion, Ending, Episode, Step, Task

EXPERT = "expert"
"""The name under which demonstrations acted."""

TRIES = 8
"""Detours drawn before a step until one can be mended; mostly the first can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detours:
    """How often and how far to stray."""

    chance: float = 0.5  # before a step of the expert's
    longest: int = 3  # actions


@dataclass(slots=True)
class _Walk:
    """A play, and what has been done in it."""

    environment: Environment
    task: Task
    play: Play
    steps: list[Step] = field(default_factory=list[Step])
    imitated: list[bool] = field(default_factory=list[bool])

    @property
    def now(self) -> Observation:
        return self.play.observation

    def act(self, action: str, *, imitated: bool) -> None:
        seen = self.now
        after = self.play.step(action)
        self.steps.append(
            Step(
                observation=seen.text,
                admissible=seen.admissible,
                completion=Completion(text=action),
                action=action,
                reward=after.reward,
            )
        )
        self.imitated.append(imitated)

    def after(self, detour: Sequence[str]) -> Play:
        """Return a play of its own that went this far and then took the detour."""
        if isinstance(self.play, Forkable):
            play, ahead = self.play.fork(), detour
        else:
            play, ahead = self.environment.start(self.task), [*self._actions, *detour]
        for action in ahead:
            play.step(action)
        return play

    @property
    def _actions(self) -> list[str]:
        return [step.completion.text for step in self.steps]


def excursion(
    environment: Environment,
    task: Task,
    plan: Sequence[str],
    *,
    detours: Detours,
    rng: Random,
    now: datetime,
) -> Reading:
    """Return the plan carried out with random detours; only the plan's steps are imitated."""
    walk = _Walk(environment, task, environment.start(task))
    at = 0
    while at < len(plan) and walk.now.ending is None:
        if rng.random() < detours.chance:
            at = _stray(walk, plan, at, rng.randint(1, detours.longest), rng)
        walk.act(plan[at], imitated=True)
        at += 1
    return _reading(walk, rng, now)


def correction(
    environment: Environment,
    episode: Episode,
    plan: Sequence[str],
    *,
    rng: Random,
    now: datetime,
) -> Reading | None:
    """Return what the expert does after the policy's own first steps, which are not imitated.

    So many of them as still leave the plan a way: all, or half, or half of that.
    None: even the first one has no way back.
    """
    count = len(episode.actions)
    while count > 0:
        walk = _Walk(environment, episode.task, environment.start(episode.task))
        for action in episode.actions[:count]:
            walk.act(action, imitated=False)
        at = _resumption(walk, (), plan, len(plan) - 1)
        if at is not None:
            for action in plan[at:]:
                walk.act(action, imitated=True)
            return _reading(walk, rng, now)
        count //= 2
    return None


def _stray(walk: _Walk, plan: Sequence[str], at: int, length: int, rng: Random) -> int:
    """Walk a random detour from which the plan leads on; return the step of it that comes next."""
    for _ in range(TRIES):
        detour = _drawn(walk, length, rng)
        resumed = _resumption(walk, detour, plan, at)
        if resumed is not None:
            for action in detour:
                walk.act(action, imitated=False)
            return resumed
    return at


def _drawn(walk: _Walk, length: int, rng: Random) -> list[str]:
    """Return random actions that lead somewhere: after each, other actions are admissible.

    Looking around costs tokens and leaves everything as it was.
    """
    detour: list[str] = []
    while len(detour) < length:
        here = walk.after(detour).observation.admissible
        drawn = (action for action in rng.sample(here, len(here)))
        leading = (a for a in drawn if walk.after([*detour, a]).observation.admissible != here)
        action = next(leading, None)
        if action is None:
            break
        detour.append(action)
    return detour


def _resumption(walk: _Walk, detour: Sequence[str], plan: Sequence[str], latest: int) -> int | None:
    """Return the last step, up to `latest`, from which the plan solves the task after a detour."""
    if not walk.after(detour).observation.admissible:  # it blundered into the end
        return None
    for at in range(latest, -1, -1):
        play = walk.after(detour)
        for action in plan[at:]:
            if action not in play.observation.admissible:
                break
            play.step(action)
        if play.observation.ending is Ending.SOLVED:
            return at
    return None


def _reading(walk: _Walk, rng: Random, now: datetime) -> Reading:
    walk.play.close()
    episode = Episode(
        id=f"{EXPERT}-{rng.getrandbits(64):016x}",
        task=walk.task,
        steps=tuple(walk.steps),
        ending=walk.now.ending or Ending.FAILED,
        closing=walk.now.text,
        policy=EXPERT,
        seed=0,
        started=now,
        seconds=0.0,
    )
    return Reading(episode=episode, source=Source.DEMONSTRATION, imitated=tuple(walk.imitated))
