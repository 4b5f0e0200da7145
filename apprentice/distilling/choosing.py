"""What is worth learning now: attempts that say something beside others, and what to replay.

Only what can be read token by token is chosen, and only what no order named before: whoever asks
again without new experience is told that there is nothing to learn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain, islice, zip_longest
from random import Random
from typing import TYPE_CHECKING, Any

from apprentice.distilling.staleness import ages, fresh
from apprentice.findings.sample import name_of
from apprentice.findings.trust import measured_gaps
from apprentice.gate.proving import to_practise
from apprentice.settings.acting import BASE
from apprentice.settings.orders import STEM, Library, Order, ordered
from distill.objectives.presets import preset_of
from distill.sequences.collate import fed
from distill.sequences.encode import Dropped, Encoded, Encoder, Reading, Reason
from distill.teaching.curriculum import compared
from environments.environment import Retrospective
from environments.episode import Ending, Split
from environments.seed import derive
from memory.knowledge.items import Critique, Demonstration, Standing

if TYPE_CHECKING:
    from apprentice.settings.acting import Acting
    from apprentice.settings.config import Config
    from environments.episode import Episode, Task
    from memory.bank.annotations import Annotation
    from memory.bank.bank import Bank
    from memory.store.records import EpisodeRow

LOOKED_BACK = 20_000
"""Newest train episodes that are looked through; older ones were made by another policy."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What might be learned now."""

    order: Order | None  # None: nothing is worth it
    dropped: Dropped  # attempts that were looked at and cannot be learned from
    tokens: int = 0  # of the attempts


@dataclass(frozen=True, slots=True)
class Known:
    """What somebody was shown before."""

    episodes: frozenset[str] = frozenset()  # ids
    walkthroughs: frozenset[str] = frozenset()  # tasks


NOTHING = Known()


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown, solved, to who learns."""

    demonstrations: tuple[str, ...]  # ids of items
    walkthroughs: tuple[str, ...]  # tasks


@dataclass(frozen=True, slots=True)
class _Lived:
    """Attempts that say something, and what was said of them."""

    episodes: Sequence[Episode]
    critiques: Mapping[str, Critique]  # by the id of the episode
    dropped: Dropped


def place_order(
    config: Config,
    library: Library,
    acting: Acting,
    encoder: Encoder,
    *,
    made: datetime,
    only: Collection[str] | None = None,
) -> Offer:
    """Return what is worth learning now, and why the rest is not.

    Args:
        config: the preset, how much of what, and the seed.
        library: what there is.
        acting: who goes on learning.
        encoder: says which attempts can be read token by token.
        made: the time.
        only: choose among these attempts, also where they were learned from; None: among all that
            no order has named yet.
    """
    preset, limits = preset_of(config.distill.preset), config.distill
    lived = _lived(config, library, acting, encoder, only)
    known, said = _known(library, acting), corrected_steps(library)
    tasks = to_practise(library.environment.tasks(Split.TRAIN), config.memory)
    shown = shown_tasks(library, limits.demonstrations, tasks, known)
    new = _new(library, known, shown, said, walkthroughs=not preset.practises)
    if not lived.episodes and not new:
        return Offer(None, lived.dropped)
    order = replace(
        _order(config, library, acting, made),
        attempts=tuple(each.id for each in lived.episodes),
        critiques=tuple(
            lived.critiques[each.id].id for each in lived.episodes if each.id in lived.critiques
        ),
        demonstrations=shown.demonstrations,
        walkthroughs=shown.walkthroughs,
        walks=() if preset.practises else walked(library, limits.walks, tasks, config.seed),
        corrections=tuple(each.id for each in said),
    )
    return Offer(order, lived.dropped, _tokens(encoder, lived.episodes))


def shown_tasks(
    library: Library, most: int, tasks: Iterable[Task], known: Known = NOTHING
) -> Shown:
    """Return the demonstrations to show, and the tasks whose walkthrough fills what is left.

    First those that who learns was never shown; task types take turns; of each the oldest first.

    Args:
        library: where the demonstrations are.
        most: how many of both together.
        tasks: that may be walked through: none on which memories are proved.
        known: what who learns was shown before.
    """
    world = library.environment
    kinds: dict[str, list[Demonstration]] = defaultdict(list)
    for item in library.bank.items(environment=world.name, type=Demonstration):
        if isinstance(item, Demonstration) and _usable(item):
            kinds[item.kind].append(item)
    turns = [item for turn in zip_longest(*kinds.values()) for item in turn if item is not None]
    new_first = sorted(turns, key=lambda item: known.episodes.issuperset(item.source.episodes))
    chosen = tuple(islice(new_first, most))
    done = {item.task for item in chosen}
    left = (task.id for task in tasks if task.id not in done and world.gold(task))
    return Shown(tuple(item.id for item in chosen), tuple(islice(left, most - len(chosen))))


def walked(library: Library, most: int, tasks: Sequence[Task], seed: int) -> tuple[str, ...]:
    """Return tasks in whose places to walk at random; none where the world sees no hindsight.

    Args:
        library: where the world is.
        most: how many.
        tasks: to choose from.
        seed: says which.
    """
    if not isinstance(library.environment, Retrospective):
        return ()
    drawn = Random(derive(seed, "walks")).sample(tasks, min(most, len(tasks)))
    return tuple(task.id for task in drawn)


def corrected_steps(library: Library) -> tuple[Annotation, ...]:
    """Return the last correction that a person made of each step of a train episode here."""
    last: dict[tuple[str, int], Annotation] = {}
    for each in library.annotations.all():
        if each.step is not None:
            last[each.episode, each.step] = each
    tasks = {id: library.store.get(id).task for id, _ in last}
    ours = {
        id
        for id, task in tasks.items()
        if task.split is Split.TRAIN and task.environment == library.environment.name
    }
    return tuple(each for each in last.values() if each.episode in ours)


def mastered(library: Library, acting: Acting, most: int) -> tuple[str, ...]:
    """Return tasks that this policy solved whenever it tried, at least twice, the surest first."""
    tried: dict[str, list[bool]] = defaultdict(list)
    for row in library.store.rows(
        limit=LOOKED_BACK,
        policy=name_of(acting.use),
        split=Split.TRAIN,
        environment=library.environment.name,
    ):
        tried[row.task_id].append(row.ending is Ending.SOLVED)
    sure = (task for task, ends in tried.items() if len(ends) > 1 and all(ends))
    return tuple(sorted(sure, key=lambda task: (-len(tried[task]), task))[:most])


def _order(config: Config, library: Library, acting: Acting, made: datetime) -> Order:
    """Return an order of what is known before it is chosen what to learn from."""
    limits = config.distill
    practises = preset_of(limits.preset).practises
    return Order(
        name=_free_name(library),
        base=acting.model,
        parent=None if acting.adapter == BASE else acting.adapter,
        environment=library.environment.name,
        preset=limits.preset,
        settings=limits.model_dump_json(),
        seed=config.seed,
        made=made,
        canaries=mastered(library, acting, limits.canaries) if practises else (),
        gaps=_gaps(config, acting),
    )


def _lived(
    config: Config,
    library: Library,
    acting: Acting,
    encoder: Encoder,
    only: Collection[str] | None,
) -> _Lived:
    """Return the attempts that the preset can learn from, and why others not."""
    preset, limits = preset_of(config.distill.preset), config.distill
    groups: list[list[Episode]] = []
    dropped: Dropped = Counter()
    if preset.practises:
        usable = partial(fresh, ages=ages(library.adapters, acting), most=limits.staleness)
        groups, dropped = _attempts(library, encoder, only, limits.episodes, usable)
    critiques = _critiques(library.bank, chain(*groups)) if preset.teaches else {}
    chosen, even = _comparable(groups, critiques)
    dropped.update(even)
    return _Lived(chosen, critiques, dropped)


def _usable(item: Demonstration) -> bool:
    return item.replayed and item.standing is not Standing.RETIRED


def _attempts(
    library: Library,
    encoder: Encoder,
    only: Collection[str] | None,
    most: int | None,
    usable: Callable[[str], bool],
) -> tuple[list[list[Episode]], Dropped]:
    """Return the attempts by task that can be read, the newest tasks first, and why others not.

    Args:
        library: where they are.
        encoder: says which can be read token by token.
        only: among these; None: among all that no order has named yet.
        most: how many; None: any number.
        usable: whether the attempts of this policy are.
    """
    groups: list[list[Episode]] = []
    dropped: Dropped = Counter()
    held = 0
    for made in _rows(library, only):
        rows = [row for row in made if usable(row.policy)]
        if len(rows) < len(made):
            dropped[Reason.STALE] += len(made) - len(rows)
        if most is not None and held + len(rows) > most:
            continue
        group: list[Episode] = []
        for row in sorted(rows, key=lambda row: (row.started, row.id)):
            episode = library.store.get(row.id)
            read = encoder.encode(Reading(episode=episode))
            if isinstance(read, Reason):
                dropped[read] += 1
            else:
                group.append(episode)
        held += len(group)
        if group:
            groups.append(group)
    return groups, dropped


def _rows(library: Library, only: Collection[str] | None) -> Iterable[list[EpisodeRow]]:
    """Return the rows by task, of tasks that were tried twice or are listed, newest first."""
    known = _learned(library) if only is None else set[str]()
    groups: dict[str, list[EpisodeRow]] = defaultdict(list)
    filters: Any = {"split": Split.TRAIN, "environment": library.environment.name}
    for row in library.store.rows(limit=LOOKED_BACK, **filters):
        if row.id not in known and (only is None or row.id in only):
            groups[row.task_id].append(row)
    return groups.values()


def _learned(library: Library) -> set[str]:
    """Return the episodes that were learned from, or tried to be."""
    adapters = library.adapters
    kept = chain.from_iterable(adapters.lineage(name).episodes for name in adapters.names())
    return {*kept, *chain.from_iterable(order.attempts for order in ordered(library.orders))}


def _critiques(bank: Bank, episodes: Iterable[Episode]) -> dict[str, Critique]:
    """Return the last critique of each episode that says what to do."""
    told: dict[str, Critique] = {}
    for episode in episodes:
        hints = [each for each in bank.critiques(episode.id) if each.hint]
        if hints:
            told[episode.id] = hints[-1]
    return told


def _comparable(
    groups: Iterable[Sequence[Episode]], critiques: Mapping[str, Critique]
) -> tuple[list[Episode], Dropped]:
    """Return the attempts that a comparison or a critique says something about."""
    chosen: list[Episode] = []
    dropped: Dropped = Counter()
    for group in groups:
        some, why = compared([group])
        told = [each for each in group if each.id in critiques] if not some else list(group)
        chosen += told
        dropped.update(why if not told else {})
    return chosen, dropped


def _known(library: Library, acting: Acting) -> Known:
    """Return what who acts now learned from, and all before him."""
    episodes, walkthroughs = set[str](), set[str]()
    name: str | None = None if acting.adapter == BASE else acting.adapter
    while name is not None:
        lineage = library.adapters.lineage(name)
        episodes.update(lineage.episodes)
        walkthroughs.update(lineage.walkthroughs)
        name = lineage.parent
    return Known(frozenset(episodes), frozenset(walkthroughs))


def _new(
    library: Library,
    known: Known,
    shown: Shown,
    corrected: Sequence[Annotation],
    *,
    walkthroughs: bool,
) -> bool:
    """Whether something is shown or corrected that the one who learns has not been shown.

    Args:
        library: where it is.
        known: what he has been shown.
        shown: the demonstrations and the walkthroughs.
        corrected: what people said.
        walkthroughs: whether these count: not for who practises, they are there to be replayed.
    """
    items = library.bank.some(shown.demonstrations)
    done = {*chain.from_iterable(item.source.episodes for item in items)}
    said = {each.episode for each in corrected}
    return not known.episodes.issuperset(done | said) or (
        walkthroughs and not known.walkthroughs.issuperset(shown.walkthroughs)
    )


def _gaps(config: Config, acting: Acting) -> dict[str, tuple[float, float]]:
    """Return the measured gaps of who goes on learning, by kind of task."""
    gaps = measured_gaps(config.home, name_of(acting.use))
    return {kind: (gap.low, gap.high) for kind, gap in gaps.items()}


def _free_name(library: Library) -> str:
    taken = {*library.adapters.names(), *(order.name for order in ordered(library.orders))}
    number = 1
    while f"{STEM}{number}" in taken:
        number += 1
    return f"{STEM}{number}"


def _tokens(encoder: Encoder, episodes: Iterable[Episode]) -> int:
    read = (encoder.encode(Reading(episode=each)) for each in episodes)
    return sum(fed(each) for each in read if isinstance(each, Encoded))
