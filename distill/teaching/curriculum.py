"""What to learn from next: which attempts, compared with whom, shown what. Pure decisions.

Three sources feed a round: demonstrations replayed, fresh attempts compared within their group, and
failures shown how a sibling did it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

import torch

from distill.sequences.batch import Source
from distill.sequences.collate import Chosen
from distill.sequences.encode import Dropped, Reading, Reason
from distill.teaching.advantage import Advantage, centered
from environments.episode import Ending, Episode

SHOWN = "It was done before like this:\n{actions}\nDo it again."
"""How a sibling's success is shown (SDPO's template, in the words of this world)."""


def grouped(episodes: Iterable[Episode]) -> tuple[tuple[Episode, ...], ...]:
    """Return the attempts at each task, in order of first appearance."""
    groups: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.task.id].append(episode)
    return tuple(map(tuple, groups.values()))


def compared(
    groups: Iterable[Sequence[Episode]], *, advantage: Advantage = centered, hints: bool = False
) -> tuple[tuple[Chosen, ...], Dropped]:
    """Return the attempts that a comparison within their group says something about.

    Args:
        groups: the attempts at one task each.
        advantage: what an attempt is worth beside the others.
        hints: whether each is shown a sibling's success, if there is one, by its teacher.
    """
    chosen: list[Chosen] = []
    dropped: Dropped = Counter()
    for group in groups:
        usable = [each for each in group if each.steps and each.ending is not Ending.BROKEN]
        dropped.update(_unusable(group))
        reason = _teaches_nothing(usable)
        if reason is not None:
            dropped[reason] += max(1, len(usable))
            continue
        rewards = torch.tensor([each.reward for each in usable])
        worth = advantage(rewards, torch.zeros(len(usable), dtype=torch.int64)).tolist()
        chosen += [
            Chosen(
                reading=Reading(episode=each, hint=success_shown(each, usable) if hints else ""),
                group=each.task.id,
                advantage=value,
            )
            for each, value in zip(usable, worth, strict=True)
        ]
    return tuple(chosen), dropped


def success_shown(episode: Episode, group: Iterable[Episode]) -> str:
    """Return how the shortest other success of the group was done; empty without one.

    Its own success is never shown: it would teach an attempt that it was right to be lucky.
    """
    others = [each for each in group if each.solved and each.id != episode.id]
    if not others:
        return ""
    best = min(others, key=lambda each: (len(each.steps), each.id))
    return SHOWN.format(actions="\n".join(best.actions))


def successes(groups: Iterable[Sequence[Episode]], *, most: int = 1) -> tuple[Chosen, ...]:
    """Return the shortest successes of each group as demonstrations, at most so many of each."""
    return tuple(
        Chosen(reading=Reading(episode=each, source=Source.DEMONSTRATION), group=each.task.id)
        for group in groups
        for each in sorted(
            (each for each in group if each.solved), key=lambda each: (len(each.steps), each.id)
        )[:most]
    )


def demonstrated(readings: Iterable[Reading]) -> tuple[Chosen, ...]:
    """Return demonstrations to be imitated."""
    return tuple(Chosen(reading=each, group=each.episode.task.id) for each in readings)


def internalised(chosen: Iterable[Chosen]) -> tuple[Chosen, ...]:
    """Return the same attempts as if memory had said nothing, so that its words become weights.

    An attempt that was briefed was sampled under another prompt than it is scored under, which is
    what a refinement is.
    """
    return tuple(_unbriefed(each) for each in chosen)


def dealt(chosen: Sequence[Chosen], per_step: int, rng: Random) -> Iterator[tuple[Chosen, ...]]:
    """Yield the steps of one pass, groups kept together, in random order."""
    groups: dict[str, list[Chosen]] = defaultdict(list)
    for each in chosen:
        groups[each.group].append(each)
    order = [groups[name] for name in rng.sample(sorted(groups), len(groups))]
    step: list[Chosen] = []
    for group in order:
        if step and len(step) + len(group) > per_step:
            yield tuple(step)
            step = []
        step += group
    if step:
        yield tuple(step)


def _unbriefed(chosen: Chosen) -> Chosen:
    reading = replace(chosen.reading, briefed=False)
    if reading.episode.briefing and reading.source is Source.ROLLOUT:
        reading = replace(reading, source=Source.REFINEMENT)
    return replace(chosen, reading=reading)


def _unusable(group: Sequence[Episode]) -> Dropped:
    return Counter(
        Reason.BROKEN if each.ending is Ending.BROKEN else Reason.EMPTY
        for each in group
        if each.ending is Ending.BROKEN or not each.steps
    )


def _teaches_nothing(group: Sequence[Episode]) -> Reason | None:
    if not group:
        return Reason.EMPTY_GROUP
    if len(group) == 1:
        return Reason.LONE_ATTEMPT
    return Reason.EVEN_GROUP if len({each.reward for each in group}) == 1 else None
