"""What memory holds as JSON and back: for the journal, for export.

Apart from the values because it brings pydantic, which whoever only counts need not load.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from pydantic import TypeAdapter

from memory.knowledge.items import Critique, Demonstration, Item, Lesson, Recalled, Skill, Standing
from memory.knowledge.journal import Deed, Entry

Content: TypeAlias = Item | Critique
C = TypeVar("C", bound=Content)

LETTERS: dict[str, type[Content]] = {
    "D": Demonstration,
    "L": Lesson,
    "S": Skill,
    "C": Critique,
}
"""The first letter of an id says what it is of, the number behind it which journal entry added it:
L17 is a lesson. So ids are unique and rise, and one word on a screen is enough to ask `why`."""

OUTSIDE = {"id", "version", "standing"}
"""What the columns of an entry say, and its content need not repeat."""

_ADAPTERS: dict[type[Content], TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in LETTERS.values()
}
_LETTER_OF = {kind: letter for letter, kind in LETTERS.items()}
_RECALLS = TypeAdapter(list[Recalled])
_TAGS = TypeAdapter(dict[str, str])


def id_of(content: Content, seq: int) -> str:
    """Return the id of what the journal entry with this number adds."""
    return f"{_LETTER_OF[type(content)]}{seq}"


def number_of(id: str) -> int:
    """Return the number of the journal entry that added what has this id."""
    return int(id[1:])


def content_to_plain(content: Content) -> dict[str, Any]:
    """Return an item or critique as JSON-like values."""
    return _ADAPTERS[type(content)].dump_python(content, mode="json")


def content_from_plain(kind: type[C], plain: dict[str, Any]) -> C:
    """Return what `content_to_plain` took apart.

    Raises:
        pydantic.ValidationError: it is something else.
    """
    return _ADAPTERS[kind].validate_python(plain)


def item_of(entry: Entry) -> Item:
    """Return the version that an entry with content wrote."""
    assert entry.version is not None
    assert entry.standing is not None
    assert entry.content is not None
    return item_from_json(entry.subject, entry.version, entry.standing, entry.content)


def item_from_json(id: str, version: int, standing: Standing, content: str) -> Item:
    """Return the item with this id whose content was written as this.

    What `OUTSIDE` left out is put in front, which is a third faster than to replace it in the item:
    every recall reads some sixty.
    """
    head = f'{{"id":"{id}","version":{version},"standing":"{standing}",'
    return _ADAPTERS[LETTERS[id[0]]].validate_json(head + content[1:])


def critique_of(entry: Entry) -> Critique:
    """Return the critique that an entry with content wrote."""
    return replace(_ADAPTERS[Critique].validate_json(entry.content or ""), id=entry.subject)


def wrote_item(deed: Deed, item: Item, by: str, why: str) -> Entry:
    """Return the entry, not yet numbered, that writes this version of an item."""
    return Entry(
        at=item.source.made,
        deed=deed,
        subject=item.id,
        version=item.version,
        standing=item.standing,
        by=by,
        why=why,
        content=_to_json(item),
    )


def wrote_critique(critique: Critique, version: int, by: str, why: str) -> Entry:
    """Return the entry, not yet numbered, that writes this version of a critique."""
    return Entry(
        at=critique.source.made,
        deed=Deed.CRITICIZED,
        subject=critique.id,
        version=version,
        by=by,
        why=why,
        content=_to_json(critique),
    )


def recalls_to_json(recalls: Sequence[Recalled]) -> str:
    return _RECALLS.dump_json(list(recalls)).decode()


def recalls_of(entry: Entry) -> list[Recalled]:
    """Return the recalls that an entry with content wrote."""
    return _RECALLS.validate_json(entry.content or "")


def tags_to_json(tags: Mapping[str, str]) -> str:
    return _TAGS.dump_json(dict(tags)).decode()


def tags_of(entry: Entry) -> dict[str, str]:
    """Return the tags that an entry with content wrote, by item; none if they were forgotten."""
    return _TAGS.validate_json(entry.content or "{}")


def _to_json(content: Content) -> str:
    return _ADAPTERS[type(content)].dump_json(content, exclude=OUTSIDE).decode()
