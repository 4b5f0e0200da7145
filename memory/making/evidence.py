"""What can be said of an attempt without asking any model: facts that a critic starts from.

Computed from the recorded texts alone, for any world; a critic may be wrong about why, these cannot
be wrong about what.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from environments.episode import Episode, Step
from environments.transcript import NOT_AN_ACTION
from memory.making.abstract import COUNTED, instances

MOST_NAMED = 8
"""Entries of one list that are told; a critic needs the pattern, and a small one little room."""

SHORTEST_WORD = 3  # letters of a word of the goal that may name a thing
LONGEST_WRITTEN = 80  # characters told of a text that was no action


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One action taken more than once upon the same observation."""

    action: str
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The same steps over and over."""

    start: int
    length: int  # steps in one round
    times: int  # whole rounds, at least 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where an attempt first left a way that solves the task."""

    step: int
    did: str  # empty: it did nothing, or nothing legal
    instead: str  # empty: the other had solved it by then
    whose: str  # the id of the episode or demonstration that solved it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Steps are counted from 0."""

    steps: int
    illegal: tuple[int, ...]  # the policy wrote no legal action
    idle: tuple[int, ...]  # the action changed nothing
    repeated: tuple[Repeat, ...]
    loop: Loop | None  # the one that covers most steps; None: there is none
    difference: Difference | None  # None: nobody solved the task, or this did the same
    impossible: tuple[str, ...]  # actions of the nearest solution whose precondition never held
    refused: tuple[str, ...]  # what the policy wrote that was never possible
    unvisited: tuple[str, ...]  # things named at the start that no action was about
    neglected: tuple[str, ...]  # words of the goal that actions on offer named and none taken did

    @property
    def wasted(self) -> bool:
        """Whether steps were spent on nothing."""
        return bool(self.illegal or self.idle or self.repeated or self.loop)


def gather(episode: Episode, solutions: Mapping[str, Sequence[str]] | None = None) -> Evidence:
    """Return the facts of an attempt.

    Args:
        episode: the attempt.
        solutions: actions that solve the same task, by the id of the episode or demonstration.
    """
    steps = episode.steps
    seen = [*(step.observation for step in steps), episode.closing]
    whose, solution = _nearest(episode, solutions or {})
    offered = {action for step in steps for action in step.admissible}
    return Evidence(
        steps=len(steps),
        illegal=tuple(place for place, step in enumerate(steps) if step.action is None),
        idle=tuple(place for place, step in enumerate(steps) if _idle(step, seen[place + 1])),
        repeated=_repeated(steps),
        loop=_loop(steps),
        difference=_difference(steps, solution, whose) if whose else None,
        impossible=tuple(a for a in dict.fromkeys(solution) if offered and a not in offered),
        refused=_refused(steps, offered),
        unvisited=_unvisited(episode),
        neglected=_neglected(episode, offered),
    )


def tell(evidence: Evidence) -> tuple[str, ...]:
    """Return the facts as sentences; what there is nothing of is left out."""
    return tuple(_sentences(evidence))


def _sentences(evidence: Evidence) -> Iterator[str]:
    if (there := evidence.difference) is not None:
        did = f"did {there.did!r}" if there.did else "did nothing legal"
        way = f"{there.instead!r} leads on" if there.instead else "the task was solved by then"
        yield f"At step {there.step} this attempt {did}; in one that solved the task {way}."
    for repeat in evidence.repeated[:MOST_NAMED]:
        places = _listed(repeat.steps)
        yield f"{repeat.action!r} was done upon the same observation at steps {places}."
    if (loop := evidence.loop) is not None:
        last = loop.start + loop.length * loop.times - 1
        yield f"Steps {loop.start} to {last} are the same {loop.length} steps {loop.times} times."
    lists: tuple[tuple[str, Sequence[object]], ...] = (
        ("No legal action was written at steps", evidence.illegal),
        ("Asked for, but never possible", evidence.refused),
        ("Nothing changed by steps", evidence.idle),
        ("Needed by a solution, but never possible here", evidence.impossible),
        ("Words of the goal on offer that no action taken names", evidence.neglected),
        ("Seen at the start and never tried", evidence.unvisited),
    )
    yield from (f"{words}: {_listed(entries)}." for words, entries in lists if entries)


def _listed(entries: Sequence[object]) -> str:
    told = ", ".join(map(str, entries[:MOST_NAMED]))
    more = len(entries) - MOST_NAMED
    return f"{told} and {more} more" if more > 0 else told


def _idle(step: Step, answer: str) -> bool:
    return step.action is not None and answer in (NOT_AN_ACTION, step.observation)


def _repeated(steps: Sequence[Step]) -> tuple[Repeat, ...]:
    places: dict[tuple[str, str], list[int]] = {}
    for place, step in enumerate(steps):
        if step.action is not None:
            places.setdefault((step.observation, step.action), []).append(place)
    often = [(action, at) for (_, action), at in places.items() if len(at) > 1]
    often.sort(key=lambda each: (-len(each[1]), each[1]))
    return tuple(Repeat(action=action, steps=tuple(at)) for action, at in often)


def _loop(steps: Sequence[Step]) -> Loop | None:
    """Return the loop that covers most steps; of equals the one with the shortest round."""
    keys = [(step.observation, step.action or step.completion.text) for step in steps]
    best: Loop | None = None
    for length in range(1, len(keys) // 2 + 1):
        for start, run in _runs([keys[i] == keys[i + length] for i in range(len(keys) - length)]):
            times = run // length + 1
            if times > 1 and length * times > (best.length * best.times if best else 0):
                best = Loop(start=start, length=length, times=times)
    return best


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield the start and length of each run of true ones."""
    start = 0
    for place, flag in enumerate((*flags, False)):
        if not flag:
            if place > start:
                yield start, place - start
            start = place + 1


def _nearest(episode: Episode, solutions: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str]]:
    """Return the solution that the attempt followed longest, and whose it is; empty: none."""
    if not solutions:
        return "", ()
    return max(sorted(solutions.items()), key=lambda each: _followed(episode.steps, each[1]))


def _followed(steps: Sequence[Step], solution: Sequence[str]) -> int:
    for place, (step, action) in enumerate(zip(steps, solution, strict=False)):
        if step.action != action:
            return place
    return min(len(steps), len(solution))


def _difference(steps: Sequence[Step], solution: Sequence[str], whose: str) -> Difference | None:
    place = _followed(steps, solution)
    if place >= len(steps):
        return None
    instead = solution[place] if place < len(solution) else ""
    return Difference(step=place, did=steps[place].action or "", instead=instead, whose=whose)


def _refused(steps: Sequence[Step], offered: set[str]) -> tuple[str, ...]:
    written = (" ".join(step.completion.text.split()) for step in steps if step.action is None)
    short = dict.fromkeys(text[:LONGEST_WRITTEN] for text in written)
    return tuple(repr(text) for text in short if text and text not in offered)


def _unvisited(episode: Episode) -> tuple[str, ...]:
    opening = episode.steps[0].observation if episode.steps else episode.closing
    acted = {thing for action in episode.actions for thing in instances(action)}
    return tuple(thing for thing in instances(opening) if thing not in acted)


def _neglected(episode: Episode, offered: set[str]) -> tuple[str, ...]:
    on_offer = _words(" ".join(offered)) - _words(" ".join(episode.actions))
    goal = re.findall(r"[\w-]+", episode.task.goal.casefold())
    return tuple(word for word in dict.fromkeys(goal) if word in on_offer)


def _words(text: str) -> set[str]:
    words = re.findall(r"[\w-]+", text.casefold())
    return {word for word in words if len(word) >= SHORTEST_WORD and word not in COUNTED}
