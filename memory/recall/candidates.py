"""Which memories come into question for a task: those near in meaning and those that share words.

Only active items are found: a candidate is shown in its trial alone, and there by name.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Protocol

from memory.index.embed import Embedding, Unembedded, embed_missing
from memory.index.exact import Floats, Neighbor
from memory.knowledge.items import Item, Standing
from memory.recall.recall import Candidate

NEAR = 32
"""Neighbors by meaning that are looked at: five times what a briefing shows."""

MEANT = 8
"""Pieces of advice for the task's type, and for any task, that are looked at though nothing in them
is like the task: the newest, and of those whose worth is known the worthiest."""

WORDED = 24
"""Items that share the most telling words. Fewer: most of them are among the neighbors."""


class Bank(Unembedded, Protocol):
    """Where the items are."""

    def some(self, ids: Collection[str]) -> list[Item]: ...
    def items(self, *, standing: Standing | None, environment: str | None) -> list[Item]: ...
    def advice(self, environment: str, kind: str, limit: int) -> list[str]: ...
    def search_text(
        self, query: str, limit: int, *, standing: Standing | None, environment: str | None
    ) -> list[tuple[str, float]]: ...


class Neighbors(Protocol):
    """Who knows which vectors are near."""

    def find(self, query_D: Floats, limit: int, also: Collection[str] = ()) -> list[Neighbor]: ...
    def refresh(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where to look, for tasks of one environment."""

    bank: Bank
    index: Neighbors
    embedder: Embedding
    environment: str
    _advice: dict[str, list[str]] = field(  # by task type, as it was when the shelf was refreshed
        default_factory=dict[str, list[str]], init=False, compare=False
    )

    def refresh(self) -> None:
        """Take over what any process has stored, revised or retired since."""
        embed_missing(self.bank, self.embedder)
        self.index.refresh()
        self._advice.clear()

    def near(self, kind: str, text: str, worth: Mapping[str, float]) -> list[Candidate]:
        """Return the items near to a text in meaning or words, and advice for tasks of its type.

        Args:
            kind: the task's type.
            text: what the task says of itself.
            worth: what items did for success so far, by id; those not in it are not known yet.
        """
        return self.near_to(kind, text, self.embedder.query(text), worth)

    def near_to(
        self, kind: str, text: str, query_D: Floats, worth: Mapping[str, float]
    ) -> list[Candidate]:
        """Do the same with the vector of the text at hand."""
        worded = self.bank.search_text(
            text, WORDED, standing=Standing.ACTIVE, environment=self.environment
        )
        rank = {id: place for place, (id, _) in enumerate(worded, 1)}
        meant = {*self._meant(kind), *self._meant("")}
        meant.update(nlargest(MEANT, worth, key=lambda id: (worth[id], id)))
        neighbors = self.index.find(query_D, NEAR, also=sorted(meant.union(rank)))
        items = self.bank.some([near.id for near in neighbors])
        return _joined(items, neighbors, rank, worth, self.environment)

    def everything(self, text: str, worth: Mapping[str, float]) -> list[Candidate]:
        """Return all active items, as SkillRL's strategies choose from."""
        items = self.bank.items(standing=Standing.ACTIVE, environment=self.environment)
        neighbors = self.index.find(self.embedder.query(text), 0, also=[item.id for item in items])
        return _joined(items, neighbors, {}, worth, self.environment)

    def _meant(self, kind: str) -> list[str]:
        if kind not in self._advice:
            self._advice[kind] = self.bank.advice(self.environment, kind, MEANT)
        return self._advice[kind]


def _joined(
    items: list[Item],
    neighbors: list[Neighbor],
    rank: Mapping[str, int],
    worth: Mapping[str, float],
    environment: str,
) -> list[Candidate]:
    """Return what is known of each; the index may be a moment behind the bank, so that decides."""
    by_id = {item.id: item for item in items}
    known = ((near, by_id.get(near.id)) for near in neighbors)
    return [
        Candidate(
            item=item,
            similarity=near.similarity,
            vector_D=near.vector_D,
            word_rank=rank.get(near.id),
            worth=worth.get(near.id),
        )
        for near, item in known
        if item is not None and item.standing is Standing.ACTIVE and item.environment == environment
    ]
