"""A solved episode without the steps that did not matter.

Backward from the goal first, by the texts alone; then, where the world can be played again, each
step is tried without. What is played again and solves is proven; the rest is a guess and says so.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from environments.environment import Environment
from environments.episode import Ending, Episode, Step, Task
from environments.transcript import NOT_AN_ACTION
from memory.knowledge.items import Move
from memory.making.abstract import class_of, instances

MOST_REPLAYS = 200
"""Plays that pruning one episode may take. Household walks of 30 steps took 15 on average and 31 at
most, random ones of 600 up to 54; an episode that runs out keeps steps that it could spare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The moves that are left of a solved episode."""

    moves: tuple[Move, ...]
    replayed: bool  # whether they were acted again, from the start, and solved the task
    replays: int  # plays that it took


def prune(
    episode: Episode, environment: Environment | None = None, *, most_replays: int = MOST_REPLAYS
) -> Pruned:
    """Return the moves that mattered.

    Args:
        episode: a solved one.
        environment: to play the task again; None: the moves are not proven.
        most_replays: plays that it may take.
    """
    if not episode.solved:
        raise ValueError(f"episode {episode.id} is {episode.ending}; only a solved one is pruned")
    likely = [episode.steps[place] for place in causal(episode)]
    if environment is not None:
        rehearsal = Rehearsal(environment, episode.task, most_replays)
        if proven := rehearsal.shortest([_act(step) for step in likely], episode.actions):
            return Pruned(moves=proven, replayed=True, replays=rehearsal.spent)
        return Pruned(moves=_moves(likely), replayed=False, replays=rehearsal.spent)
    return Pruned(moves=_moves(likely), replayed=False, replays=0)


def causal(episode: Episode) -> tuple[int, ...]:
    """Return the places of the steps from which the last one follows, in order.

    Backward causal chaining as SkillRL asks a model for (arXiv:2602.08234, its prompt for
    memories), here without one: a step is kept if it made a kept one possible, if it was the
    nearest before it to do something with one of its things, or if it was the last to do something
    with a thing that the goal names. What could be done from the start has no cause and, but for
    making others possible, is none. Rather a step too many than one too few.
    """
    steps = episode.steps
    seen = [*(step.observation for step in steps), episode.closing]
    useful = [_useful(step, seen[place + 1]) for place, step in enumerate(steps)]
    last = max((place for place, step in enumerate(steps) if step.action), default=None)
    if last is None:
        return ()
    kept: set[int] = set()
    open_ends = [last, *_about_goal(episode, useful)]
    while open_ends:
        place = open_ends.pop()
        if place not in kept:
            kept.add(place)
            open_ends += _causes(steps, useful, place)
    return tuple(sorted(kept))


class Rehearsal:
    """Plays one task again and again, with fewer and fewer actions."""

    def __init__(self, environment: Environment, task: Task, most: int) -> None:
        self._environment = environment
        self._task = task
        self._most = most
        self.spent = 0

    def shortest(self, *plans: Sequence[str]) -> tuple[Move, ...]:
        """Return the first plan that solves, without what it can do without; empty: none solves.

        Halves, quarters and so on down to single actions are left out in turn (delta debugging,
        Zeller and Hildebrandt 2002), until none can be spared.
        """
        best = next(filter(None, map(self._act, plans)), ())
        size = max(1, len(best) // 2)
        while best and self.spent < self._most:
            shorter = self._without_some(best, size)
            if size == 1 and len(shorter) == len(best):
                break
            size = max(1, min(size // 2, len(shorter) // 2))
            best = shorter
        return best

    def _without_some(self, moves: tuple[Move, ...], size: int) -> tuple[Move, ...]:
        """Return the moves without each run of so many that can be spared, from the end on."""
        stop = len(moves)
        while stop > 0 and self.spent < self._most:
            start = max(0, stop - size)
            rest = [move.action for move in (*moves[:start], *moves[stop:])]
            if shorter := self._act(rest):
                moves = shorter
            stop = min(start, len(moves))
        return moves

    def _act(self, plan: Sequence[str]) -> tuple[Move, ...]:
        """Return what was done of a plan, up to where it solved the task; empty: it did not.

        An action that is impossible by now is passed over: so what only made it possible, and what
        only followed from it, go together.
        """
        self.spent += 1
        play = self._environment.start(self._task)
        try:
            done: list[Move] = []
            for action in plan:
                now = play.observation
                if now.ending is not None:
                    break
                if not now.admissible or action in now.admissible:
                    done.append(Move(observation=now.text, action=action))
                    play.step(action)
            return tuple(done) if play.observation.ending is Ending.SOLVED else ()
        finally:
            play.close()


def _act(step: Step) -> str:
    assert step.action is not None
    return step.action


def _moves(steps: Sequence[Step]) -> tuple[Move, ...]:
    return tuple(Move(observation=step.observation, action=_act(step)) for step in steps)


def _useful(step: Step, answer: str) -> bool:
    """Whether a step did something, as far as its own words and the answer tell."""
    return step.action is not None and answer not in (step.observation, NOT_AN_ACTION)


def _about_goal(episode: Episode, useful: Sequence[bool]) -> Iterator[int]:
    """Yield the last useful step with each thing of a class that the goal names."""
    words = set(re.findall(r"[\w-]+", episode.task.goal.casefold()))
    last: dict[str, int] = {}
    for place, step in enumerate(episode.steps):
        if useful[place] and not _free(episode.steps, place):
            for thing in instances(_act(step)):
                if class_of(thing).casefold() in words:
                    last[thing] = place
    yield from last.values()


def _causes(steps: Sequence[Step], useful: Sequence[bool], place: int) -> Iterator[int]:
    """Yield the step that made this one possible, and the nearest before it with each thing."""
    if _free(steps, place):
        return
    action = _act(steps[place])
    if (maker := _maker(steps, action, place)) is not None:
        yield maker
    for thing in instances(action):
        earlier = (
            before
            for before in range(place - 1, -1, -1)
            if useful[before]
            and not _free(steps, before)
            and thing in instances(_act(steps[before]))
        )
        if (nearest := next(earlier, None)) is not None:
            yield nearest


def _free(steps: Sequence[Step], place: int) -> bool:
    """Whether a step could have been the first, such as a walk to somewhere: it has no cause."""
    return steps[place].action in steps[0].admissible


def _maker(steps: Sequence[Step], action: str, place: int) -> int | None:
    """Return the step after which an action was possible up to its place; None: not told."""
    if not steps[place].admissible:
        return None
    for before in range(place - 1, -1, -1):
        if action not in steps[before].admissible:
            return before if steps[before].action is not None else None
    return None
