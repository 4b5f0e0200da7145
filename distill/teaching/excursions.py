"""Demonstrations with detours: what an expert does after somebody strayed.

An expert who never errs never shows the way back, and a policy that imitates him walks in circles
once it is lost. So others interfere: they walk somewhere while he is searching, or act at random
before he acts, which he undoes. What they do is read but not imitated. A detour is random (an
excursion) or the policy's own (a correction).
Knows nothing of any world but its plays, which must list their actions.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random

from distill.sequences.batch import Source
from distill.sequences.encode import Reading
from distill.teaching.searching import (
    HOUSEHOLD,
    MOST_STEPS,
    Searcher,
    Whereabouts,
    openings,
    place_of,
    places_named,
    practicable,
    surveyed,
)
from environments.environment import Environment, Forkable, Observation, Play
from environments.episode import Completion, Ending, Episode, Step, Task

EXPERT = "expert"
"""The name under which demonstrations acted."""

LOOKING = (HOUSEHOLD.go, *HOUSEHOLD.look)
"""Verbs that cannot be done wrong: there is always a way on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detours:
    """How often and how far to stray."""

    chance: float = 0.5  # before a step of a search: somebody walks elsewhere first
    longest: int = 2  # places walked to
    blunder: float = 0.02  # before any step: somebody does something else, which is undone


DIRECT = Detours(chance=0.0, blunder=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """What makes demonstrations out of plans."""

    environment: Environment
    whereabouts: Whereabouts
    detours: Detours = Detours()

    def undisturbed(self) -> "Guide":
        return replace(self, detours=DIRECT)


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

    def act(self, action: str, *, imitated: bool) -> Observation:
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
        return after

    def ahead(self, *actions: str) -> Observation:
        """Return what would be seen after some more actions."""
        if isinstance(self.play, Forkable):
            play, rest = self.play.fork(), actions
        else:
            play = self.environment.start(self.task)
            rest = (*(step.completion.text for step in self.steps), *actions)
        with closing(play):
            for action in rest:
                play.step(action)
            return play.observation


def excursion(
    guide: Guide, task: Task, plan: Sequence[str], *, rng: Random, now: datetime
) -> Reading:
    """Return the plan carried out by somebody who has to search, and is interfered with.

    What disturbs him so much that he gives up is left out. Where a search finds no way, such as in
    a world of other words, the plan is shown as it is.
    """
    clear = practicable(guide.environment, task, plan, guide.whereabouts)
    for each in (guide, guide.undisturbed()) if clear else ():
        walk, expert = _begin(each, task, clear or plan)
        with closing(walk.play):
            _carry_out(walk, expert, each.detours, rng)
        if walk.now.ending is Ending.SOLVED:
            return _reading(walk, rng, now)
    walk, _ = _begin(guide, task, plan)
    with closing(walk.play):
        for action in plan:
            walk.act(action, imitated=True)
    return _reading(walk, rng, now)


def rehearsed(
    environment: Environment,
    plans: Sequence[tuple[Task, Sequence[str]]],
    *,
    detours: Detours,
    rng: Random,
    now: datetime,
) -> Iterator[Reading]:
    """Yield each plan that solves its task, carried out by who knows the rooms of them all."""
    known = surveyed(environment, [task for task, _ in plans])
    guide = Guide(environment=environment, whereabouts=known, detours=detours)
    for task, plan in plans:
        reading = excursion(guide, task, plan, rng=rng, now=now)
        if reading.episode.ending is Ending.SOLVED:
            yield reading


def correction(
    guide: Guide, episode: Episode, plan: Sequence[str], *, rng: Random, now: datetime
) -> Reading | None:
    """Return what the expert does after the policy's own first steps, which are not imitated.

    So many of them as still leave the plan a way: all, or half, or half of that.
    None: even the first one has no way back.
    """
    clear = practicable(guide.environment, episode.task, plan, guide.whereabouts) or plan
    count = len(episode.actions)
    while count > 0:
        walk, expert = _begin(guide, episode.task, clear)
        with closing(walk.play):
            for action in episode.actions[:count]:
                expert.saw(action, walk.act(action, imitated=False))
            _carry_out(walk, expert, DIRECT, rng)
        if walk.now.ending is Ending.SOLVED:
            return _reading(walk, rng, now)
        count //= 2
    return None


def _begin(guide: Guide, task: Task, plan: Sequence[str]) -> tuple[_Walk, Searcher]:
    walk = _Walk(guide.environment, task, guide.environment.start(task))
    return walk, Searcher(plan, walk.now, guide.whereabouts)


def _carry_out(walk: _Walk, expert: Searcher, detours: Detours, rng: Random) -> None:
    """Let the expert act to the end, or until he finds no way or takes too long."""
    while walk.now.ending is None and len(walk.steps) < MOST_STEPS:
        leaving = _verb(expert.next(walk.now) or "") == HOUSEHOLD.go
        if expert.searching and leaving and rng.random() < detours.chance:
            _stray(walk, expert, rng.randint(1, detours.longest), rng)
        if rng.random() < detours.blunder:
            _blunder(walk, expert, rng)
        action = expert.next(walk.now)
        if action is None or action not in walk.now.admissible:
            return
        expert.saw(action, walk.act(action, imitated=True))


def _stray(walk: _Walk, expert: Searcher, length: int, rng: Random) -> None:
    """Walk to random places and look into them."""
    for _ in range(length):
        ways = places_named(walk.now)
        if not ways:
            return
        way = rng.choice(ways)
        expert.saw(way, walk.act(way, imitated=False))
        for action in openings(walk.now, place_of(way)):
            expert.saw(action, walk.act(action, imitated=False))


def _blunder(walk: _Walk, expert: Searcher, rng: Random) -> None:
    """Do something that changes what is possible and can be undone; the undoing is imitated."""
    before = set(walk.now.admissible)
    for action in rng.sample(walk.now.admissible, len(walk.now.admissible)):
        after = walk.ahead(action)
        if after.ending is not None or _verb(action) in LOOKING or set(after.admissible) == before:
            continue
        for undoing in after.admissible:
            if undoing not in before and set(walk.ahead(action, undoing).admissible) == before:
                expert.saw(action, walk.act(action, imitated=False))
                expert.saw(undoing, walk.act(undoing, imitated=True))
                return


def _verb(action: str) -> str:
    return action.partition(" ")[0]


def _reading(walk: _Walk, rng: Random, now: datetime) -> Reading:
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
