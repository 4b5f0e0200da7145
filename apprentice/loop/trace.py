"""Was anything learned that only the exam may see? Every id is followed to its task, none believed.

From the weights by their lineage, from memory by the sources of every version, from prompts by what
was recalled for them. A held-out task in any of them would make every figure worthless.
"""

from collections.abc import Iterable, Iterator

from apprentice.loop.reports import record_of
from apprentice.settings.acting import BASE
from apprentice.settings.orders import Library, ordered
from environments.episode import Split
from memory.proof.rounds import Rounds
from memory.store.errors import UnknownIdError

LOOKED_BACK = 100_000
"""Newest episodes of a held-out split that are looked at from their side."""


def leaks(library: Library, rounds: Rounds) -> tuple[str, ...]:
    """Return one line for each thing learned that is not of a train task; none: all is well."""
    return tuple(
        dict.fromkeys((*_in_weights(library), *_in_memory(library), *_in_prompts(library, rounds)))
    )


def _in_weights(library: Library) -> Iterator[str]:
    adapters, known = library.adapters, library.adapters.names()
    for name in known:
        what = f"adapter {name}"
        for each in _ancestry(library, name):
            if each not in known:
                yield f"{what} goes back to adapter {each}, which is gone: nobody can trace it"
                break
            lineage = adapters.lineage(each)
            yield from _episodes(library, what, lineage.episodes)
            yield from _tasks(library, what, lineage.walkthroughs)
    for order in ordered(library.orders):
        what = f"order {order.name}"
        yield from _episodes(library, what, order.attempts)
        yield from _tasks(library, what, (*order.walkthroughs, *order.walks, *order.canaries))
        said = {each.id: each.episode for each in library.annotations.all()}
        yield from _episodes(library, what, (said.get(id, id) for id in order.corrections))


def _in_memory(library: Library) -> Iterator[str]:
    bank = library.bank
    for item in bank.items():
        for version in range(1, item.version + 1):
            source = bank.get(item.id, version).source
            yield from _episodes(library, f"{item.id} version {version}", source.episodes)
    for split in (Split.DEV, Split.TEST):
        for row in library.store.rows(split=split, limit=LOOKED_BACK):
            for content in bank.derived(row.id):
                yield f"{content.id} rests on episode {row.id} of a {split} task"


def _in_prompts(library: Library, rounds: Rounds) -> Iterator[str]:
    """Yield what practice was told that did not come from memory, and practice of other tasks."""
    for round in rounds.all():
        recalled = record_of(rounds.reports(round.id)).recall
        for asked in recalled.attempts if recalled else ():
            yield from _tasks(library, f"practice of round {round.id}", (asked.task,))
            if asked.briefing and not any(told.shown for told in asked.told):
                yield f"practice {asked.id} was told something that no memory says"


def _ancestry(library: Library, name: str | None) -> Iterator[str]:
    """Yield an adapter and all it goes back to; the last may be gone."""
    known = library.adapters.names()
    while name is not None and name != BASE:
        yield name
        name = library.adapters.lineage(name).parent if name in known else None


def _episodes(library: Library, what: str, ids: Iterable[str]) -> Iterator[str]:
    for id in ids:
        try:
            split = library.store.get(id).task.split
        except UnknownIdError:
            yield f"{what} rests on episode {id}, which is not stored (any more)"
            continue
        if split is not Split.TRAIN:
            yield f"{what} rests on episode {id} of a {split} task"


def _tasks(library: Library, what: str, ids: Iterable[str]) -> Iterator[str]:
    for id in ids:
        split = library.environment.task(id).split
        if split is not Split.TRAIN:
            yield f"{what} rests on the {split} task {id}"
