"""Which memories may say the same as a new one, whatever their standing.

Recall looks among active items only; whoever adds one must also see those that still wait, or the
same words would wait many times over.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from memory.index.embed import Embedder, Unembedded, embed_missing
from memory.index.exact import Floats, Key
from memory.knowledge.admission import PLACEHOLDER
from memory.knowledge.items import Demonstration, Item, Skill, text_of
from memory.making.abstract import abstracted

NEAREST = 8  # items that are looked at: the nearest decides, the next where it may not

Alike: TypeAlias = Callable[[Item], Sequence[tuple[Item, float]]]
"""Gives the stored items like a new one, with their cosines."""


class Shelved(Unembedded, Protocol):
    """Where the items and their vectors are."""

    def some(self, ids: Collection[str]) -> list[Item]: ...
    def items(self, *, environment: str | None, type: type[Item] | None) -> list[Item]: ...
    def vectors(
        self, model: str, *, environment: str | None, type: type[Item] | None
    ) -> tuple[list[Key], Floats]: ...


def alike(item: Item, bank: Shelved, embedder: Embedder) -> list[tuple[Item, float]]:
    """Return the items of one sort and world that are nearest; of a skill also its doubles.

    A skill that does the same is a double however it is worded, and so is a namesake. Of
    demonstrations only those come into question that solve the same task, or reach the same goal in
    the same way: to clean a cup and to clean a pan in one kitchen are near in words, and still two
    things to know. Items that have no vector yet are given theirs.
    """
    embed_missing(bank, embedder)
    keys, unit_ND = bank.vectors(embedder.name, environment=item.environment, type=type(item))
    query_D = embedder.items([text_of(item)])[0]
    cosine_N = np.einsum("nd,d->n", unit_ND, query_D) if keys else np.empty(0)
    nearest = np.argsort(-cosine_N, kind="stable")[:NEAREST]
    near = {keys[row][0]: float(cosine_N[row]) for row in nearest}
    found = {each.id: (each, near[each.id]) for each in bank.some(near)}
    if isinstance(item, Skill):
        found |= _doubles(item, bank)
    return [(each, cosine) for each, cosine in found.values() if _one_matter(item, each)]


def _one_matter(item: Item, other: Item) -> bool:
    if isinstance(item, Demonstration) and isinstance(other, Demonstration):
        return item.task == other.task or _way(item) == _way(other)
    return True


def _way(demonstration: Demonstration) -> list[str]:
    actions = (move.action for move in demonstration.moves)
    return [abstracted(text).casefold() for text in (demonstration.goal, *actions)]


def _doubles(skill: Skill, bank: Shelved) -> dict[str, tuple[Item, float]]:
    others = bank.items(environment=skill.environment, type=Skill)
    return {
        each.id: (each, 1.0)
        for each in others
        if isinstance(each, Skill) and (each.name == skill.name or _does(each) == _does(skill))
    }


def _does(skill: Skill) -> list[str]:
    """Return the procedure without the names of its parameters."""
    return [PLACEHOLDER.sub("{}", action) for action in skill.procedure]
