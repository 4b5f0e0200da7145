"""Exported memories that come back: what was edited meanwhile, what is new here, what is known.

An id is given by a bank, so the same one may mean something else in another: an item is itself
where its sources are the same too. Whatever else comes in is settled beside what is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from memory.bank.bank import Bank
from memory.knowledge.admission import decide, same_words
from memory.knowledge.items import Item, Lesson, Skill
from memory.knowledge.journal import USER
from memory.making.alike import Alike
from memory.store.errors import UnknownIdError

WHY = "import"


def take_in(items: Iterable[Item], bank: Bank, alike: Alike) -> list[Item]:
    """Store what is new in exported items, as candidates; return those that hold it now.

    Raises:
        StaleError: one was edited that is no longer the current version.
        UserError: one may not enter this bank; those before it did.
    """
    here: dict[str, str] = {}  # ids in this bank, by those that they were exported under
    new: list[Item] = []
    for item in sorted(items, key=lambda each: isinstance(each, Skill)):  # after what it is made of
        known = _itself(item, bank)
        if known is None:
            stranger = _at_home(item, bank, here)
            similar = alike(stranger)
            kept = bank.settle(stranger, decide(stranger, similar), by=USER)
            before = {each.id: each.version for each, _ in similar}
        elif same_words(known, item):
            kept, before = known, {known.id: known.version}
        else:
            kept, before = bank.revise(item, by=USER, why=WHY), {}
        here[item.id] = kept.id
        if before.get(kept.id) != kept.version:
            new.append(kept)
    return new


def _itself(item: Item, bank: Bank) -> Item | None:
    """Return the version that was exported as this, as it is in this bank; None: it is not."""
    try:
        found = bank.get(item.id, item.version)
    except UnknownIdError:
        return None
    same = type(found) is type(item) and found.source == item.source
    return found if same else None


def _at_home(item: Item, bank: Bank, here: Mapping[str, str]) -> Item:
    """Return a new item that names only what this bank holds as what it is made of."""
    item = replace(item, id="", version=1)
    episodes = set(item.source.episodes)
    match item:
        case Skill():
            parts = bank.some({here[id] for id in item.demonstrations if id in here})
            shared = [each.id for each in parts if not episodes.isdisjoint(each.source.episodes)]
            return replace(item, demonstrations=tuple(shared))
        case Lesson():
            told = {each.id for episode in episodes for each in bank.critiques(episode)}
            return item if item.critique in told else replace(item, critique="")
        case _:
            return item
