"""An order as steps of learning: attempts with their worth, what was shown, what people corrected.

The same order gives the same steps whenever it is asked, so they are never written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

from apprentice.findings.trust import corrections, trusted
from distill.objectives.presets import preset_of
from distill.sequences.collate import Chosen
from distill.sequences.encode import Reading
from distill.signals.anchors import Anchored, allow
from distill.teaching.curriculum import compared, dealt, demonstrated, grouped, internalised
from distill.teaching.excursions import Detours, Guide, excursion
from distill.teaching.searching import surveyed
from distill.teaching.walks import found_walking
from environments.anchor import Anchor
from environments.episode import Ending
from environments.seed import derive
from memory.knowledge.items import Demonstration
from memory.proof.intervals import Interval

if TYPE_CHECKING:
    from apprentice.settings.config import Distill
    from apprentice.settings.orders import Library, Order
    from environments.episode import Task
    from memory.knowledge.items import Critique


@dataclass(frozen=True, slots=True)
class Shown:
    """Something done right, to be imitated, and where it is from."""

    task: Task
    actions: tuple[str, ...]
    episodes: tuple[str, ...]  # ids; empty: the environment itself showed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What is learned, step by step."""

    steps: tuple[tuple[Chosen, ...], ...]
    fresh: int  # the first of these, which compare attempts: while they are the policy's own
    shown: Mapping[str, Shown]  # by the id of the reading in which it is carried out
    remarks: tuple[str, ...]


def lessons(limits: Distill, order: Order, library: Library) -> Lessons:
    """Return the steps of an order: the same ones, whenever it is asked.

    Args:
        limits: how much of what goes into a step.
        order: what to learn.
        library: what it names.
    """
    gaps = {kind: Interval(*ends) for kind, ends in order.gaps.items()}
    rng = Random(derive(order.seed, order.name, "lessons"))
    plans, found = _plans(order, library), _found(order, library)
    guide = _guide(limits, library, [*plans, *found])

    corrected, shown = _corrected(order, library, gaps)

    def carried_out(which: Sequence[Shown]) -> tuple[Chosen, ...]:
        done = list(_carried_out(guide, which, rng, order))
        shown.update((reading.episode.id, plan) for plan, reading in done)
        return (*demonstrated(reading for _, reading in done), *corrected)

    fresh, remarks, passes = (), (), limits.passes
    if preset_of(order.preset).practises:
        chosen, remarks = _fresh(limits, order, library, gaps)
        fresh = tuple(dealt(chosen, limits.per_step, rng))
        passes = max(1, round(limits.replay * len(fresh) / max(1, len(plans))))
    replayed = (
        dealt(carried_out([*plans, *found[number::passes]]), limits.per_step, rng)
        for number in range(passes)
    )
    steps = (*fresh, *chain.from_iterable(replayed))
    return Lessons(steps=steps, fresh=len(fresh), shown=shown, remarks=remarks)


def _corrected(
    order: Order, library: Library, gaps: Mapping[str, Interval]
) -> tuple[tuple[Chosen, ...], dict[str, Shown]]:
    """Return the better actions that people named, each after what led there, and where from."""
    found = [
        (said.episode, each)
        for said in library.annotations.some(order.corrections)
        for each in corrections(library.store, [said])
    ]
    shown: dict[str, Shown] = {}
    for id, each in found:
        episode = each.chosen.reading.episode
        shown[episode.id] = Shown(episode.task, episode.actions, (id,))
    return trusted([each for _, each in found], gaps).chosen if found else (), shown


def _plans(order: Order, library: Library) -> list[Shown]:
    """Return what was done right, to be carried out."""
    world = library.environment
    plans = [
        Shown(
            world.task(item.task),
            tuple(move.action for move in item.moves),
            item.source.episodes,
        )
        for item in library.bank.some(order.demonstrations)
        if isinstance(item, Demonstration)
    ]
    tasks = map(world.task, order.walkthroughs)
    return [*plans, *(Shown(task, world.gold(task) or (), ()) for task in tasks)]


def _found(order: Order, library: Library) -> list[Shown]:
    """Return what random walks solved without being asked to, each once."""
    plans: dict[Task, tuple[str, ...]] = {}
    for id in order.walks:
        rng = Random(derive(order.seed, "walk", id))
        task = library.environment.task(id)
        for solved, actions in found_walking(library.environment, task, rng=rng, now=order.made):
            plans.setdefault(solved, actions)
    return [Shown(task, actions, ()) for task, actions in plans.items()]


def _guide(limits: Distill, library: Library, plans: Sequence[Shown]) -> Guide:
    detours = Detours()
    if limits.detour_chance is not None:
        detours = replace(detours, chance=limits.detour_chance)
    if limits.detour_longest is not None:
        detours = replace(detours, longest=limits.detour_longest)
    known = surveyed(library.environment, [each.task for each in plans])
    return Guide(environment=library.environment, whereabouts=known, detours=detours)


def _carried_out(
    guide: Guide, plans: Sequence[Shown], rng: Random, order: Order
) -> Iterator[tuple[Shown, Reading]]:
    """Yield each plan that solves its task, carried out with detours of its own."""
    for plan in plans:
        reading = excursion(guide, plan.task, plan.actions, rng=rng, now=order.made)
        if reading.episode.ending is Ending.SOLVED:
            yield plan, reading


def _fresh(
    limits: Distill, order: Order, library: Library, gaps: Mapping[str, Interval]
) -> tuple[tuple[Chosen, ...], tuple[str, ...]]:
    """Return the attempts with their worth and their hints, and what there is to remark."""
    episodes = [library.store.get(id) for id in order.attempts]
    told = {each.episode: each for each in map(library.bank.critique, order.critiques)}
    teaches = preset_of(order.preset).teaches
    groups = grouped(episodes)
    chosen = [*compared(groups, hints=teaches)[0]]
    have = {each.reading.episode.id for each in chosen}
    chosen += [
        Chosen(reading=Reading(episode=each), group=each.task.id)  # only its critique says anything
        for each in episodes
        if each.id not in have and each.id in told
    ]
    hinted, remarks = _hinted(chosen, told, gaps) if teaches else (tuple(chosen), ())
    return (internalised(hinted) if limits.internalise else hinted), remarks


def _hinted(
    chosen: Sequence[Chosen], told: Mapping[str, Critique], gaps: Mapping[str, Interval]
) -> tuple[tuple[Chosen, ...], tuple[str, ...]]:
    """Show a teacher the critique of an attempt where there is one, as far as it may be trusted.

    What only the model itself vouches for may make up so much of the hints as `anchors.allow` says;
    where that is a part, every so manieth such critique is taken.
    """
    samples = [_anchored(each, told) for each in chosen]
    allowed = allow(samples, gaps)
    shown: list[Chosen] = []
    room = 0.0
    for each, sample, weight in zip(chosen, samples, allowed.weights, strict=True):
        critique = told.get(each.reading.episode.id)
        if critique is None or not critique.hint:
            shown.append(each)
            continue
        room += weight if not sample.anchor.external else 1.0
        if room >= 1.0:
            room -= 1.0
            reading = replace(each.reading, hint=critique.hint)
            shown.append(replace(each, reading=reading))
        elif each.reading.hint or each.advantage:
            shown.append(each)
    return tuple(shown), allowed.reasons


def _anchored(chosen: Chosen, told: Mapping[str, Critique]) -> Anchored:
    episode = chosen.reading.episode
    critique = told.get(episode.id)
    anchor = critique.source.anchor if critique is not None else Anchor.ENVIRONMENT
    return Anchored(anchor=anchor, kind=episode.task.kind)
