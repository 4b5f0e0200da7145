"""The bank as a LangGraph store: someone's own graph searches it, and proposes to it.

A namespace is (standing, type, task type), such as ("active", "lesson", "general"); any beginning
of one can be searched. What is put becomes a candidate, whatever the graph thinks of it: it has to
prove itself like everything else.
"""

import asyncio
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)
from langgraph.store.base import Item as Kept
from pydantic import ValidationError

from environments.anchor import Anchor
from environments.errors import UserError
from memory.bank.bank import Bank, ItemFilters
from memory.knowledge.admission import decide
from memory.knowledge.items import Demonstration, Item, Lesson, Skill, Source, Standing, text_of
from memory.knowledge.wire import content_from_plain, content_to_plain
from memory.making.alike import Alike
from memory.recall.candidates import Shelf
from memory.store.store import Store

DEPTH = 3  # parts of a namespace
GENERAL = "general"  # in a namespace: of no task type
TYPES: dict[str, type[Item]] = {
    "demonstration": Demonstration,
    "lesson": Lesson,
    "skill": Skill,
}
OURS = ("id", "version", "standing", "source", "kind")
"""Fields of a value that a proposal does not give: the bank does, or its namespace."""

SEARCHED = 200
"""Items that fit a query and are looked at, before filters and pages."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}

Namespace: TypeAlias = tuple[str, ...]


class ProposalError(UserError, ValueError):
    """What a graph put is no memory."""


class BankStore(BaseStore):
    """Safe to share between threads, as the bank is."""

    def __init__(
        self,
        bank: Bank,
        episodes: Store,
        *,
        alike: Alike,
        clock: Callable[[], datetime],
        proposer: str,
        shelf: Shelf | None = None,
    ) -> None:
        """Open a bank to graphs.

        Args:
            bank: what is searched, and proposed to.
            episodes: where the episodes are that proposals come from.
            alike: the stored items that may say the same as a proposal.
            clock: the time now, with its zone.
            proposer: who proposes, in the journal and as the critic of what is proposed.
            shelf: finds active items by meaning; None: all are found by their words.
        """
        self._bank = bank
        self._episodes = episodes
        self._alike = alike
        self._clock = clock
        self._proposer = proposer
        self._shelf = shelf
        self._proposed: dict[str, str] = {}  # the id that the bank gave, by the key of the graph

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do one after the other, and return what each gives.

        Raises:
            ProposalError: something that is put is no memory.
            UserError: the bank refuses it.
        """
        return [self._do(op) for op in ops]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the same beside the event loop."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _do(self, op: Op) -> Result:
        match op:
            case GetOp():
                return self._get(op)
            case SearchOp():
                return self._search(op)
            case PutOp():
                return self._put(op)
            case ListNamespacesOp():
                return self._namespaces(op)

    def _get(self, op: GetOp) -> Kept | None:
        for item in self._bank.some([self._proposed.get(op.key, op.key)]):
            if _begins(namespace_of(item), op.namespace):
                return _kept(item, op.key)
        return None

    def _search(self, op: SearchOp) -> list[SearchItem]:
        found = self._found(op.query, op.namespace_prefix) if op.query else self._all(op)
        matching = [each for each in found if not op.filter or _passes(_value(each[0]), op.filter)]
        page = matching[op.offset : op.offset + op.limit]
        return [_found(item, score) for item, score in page]

    def _all(self, op: SearchOp) -> list[tuple[Item, float | None]]:
        items = self._bank.items(**_filters(op.namespace_prefix))
        return [(item, None) for item in items if _begins(namespace_of(item), op.namespace_prefix)]

    def _found(self, query: str, prefix: Namespace) -> list[tuple[Item, float | None]]:
        if self._shelf is not None and prefix[:1] == (Standing.ACTIVE.value,):
            kind = "" if prefix[2:] in ((), (GENERAL,)) else prefix[2]
            near = self._shelf.near(kind, query, {})
            scored = [(each.item, each.similarity) for each in near]
        else:
            best = dict(self._bank.search_text(query, SEARCHED, **_filters(prefix)))
            scored = [(item, best[item.id]) for item in self._bank.some(best)]
        scored.sort(key=lambda each: -each[1])
        return [(item, score) for item, score in scored if _begins(namespace_of(item), prefix)]

    def _put(self, op: PutOp) -> None:
        id = self._proposed.get(op.key, op.key)
        known = self._bank.some([id])
        if op.value is None:
            for item in known:
                why = f"deleted by {self._proposer}"
                self._bank.set_standing(
                    item.id, Standing.RETIRED, why, self._clock(), by=self._proposer
                )
            return
        item = self._proposal(op.namespace, op.value)
        if known:
            item = replace(item, id=id, version=known[0].version)
            self._bank.revise(item, by=self._proposer)
            return
        kept = self._bank.settle(item, decide(item, self._alike(item)), by=self._proposer)
        self._proposed[op.key] = kept.id

    def _proposal(self, namespace: Namespace, value: Mapping[str, Any]) -> Item:
        """Return the item that a value says, as a new candidate."""
        standing, type, kind = (*namespace, "", "", "")[:3]
        if standing != Standing.CANDIDATE or type not in TYPES or len(namespace) > DEPTH:
            raise ProposalError(
                f"cannot put into {namespace!r}; put a proposal into ('candidate', TYPE, KIND), "
                f"TYPE one of {', '.join(TYPES)}, KIND a task type or {GENERAL!r}"
            )
        plain = {name: each for name, each in value.items() if name not in (*OURS, "episodes")}
        source = self._source(value.get("episodes"))
        given = {**plain, "kind": "" if kind in ("", GENERAL) else kind, "source": source}
        try:
            return content_from_plain(TYPES[type], given)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ProposalError(f"no {type}: {place or 'value'}: {first['msg'].lower()}") from None

    def _source(self, ids: object) -> Source:
        if not isinstance(ids, list | tuple) or not ids:
            raise ProposalError("a proposal names the ids of its source episodes in 'episodes'")
        episodes = [self._episodes.get(str(id)) for id in ids]
        return Source.of(
            *episodes, critic=self._proposer, anchor=Anchor.THIRD_PARTY_JUDGE, made=self._clock()
        )

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        spaces = {namespace_of(item) for item in self._bank.items()}
        meant = {
            space[: op.max_depth]
            for space in spaces
            if all(_fits(space, each) for each in op.match_conditions or ())
        }
        return sorted(meant)[op.offset : op.offset + op.limit]


def namespace_of(item: Item) -> Namespace:
    """Return where a graph finds an item."""
    return (item.standing.value, type(item).__name__.lower(), item.kind or GENERAL)


def _filters(prefix: Namespace) -> ItemFilters:
    """Return what the bank can choose by; what it does not know finds nothing later."""
    filters: ItemFilters = {}
    if prefix and prefix[0] in set(Standing):
        filters["standing"] = Standing(prefix[0])
    if len(prefix) > 1 and prefix[1] in TYPES:
        filters["type"] = TYPES[prefix[1]]
    return filters


def _begins(space: Namespace, prefix: Namespace) -> bool:
    return space[: len(prefix)] == prefix


def _fits(space: Namespace, condition: MatchCondition) -> bool:
    path = tuple(condition.path)
    part = space[: len(path)] if condition.match_type == "prefix" else space[-len(path) :]
    return len(part) == len(path) and all(
        wanted in ("*", found) for wanted, found in zip(path, part, strict=True)
    )


def _passes(value: dict[str, Any], filter: dict[str, Any]) -> bool:
    return all(
        all(COMPARISONS[sign](value.get(name), other) for sign, other in wanted.items())
        if isinstance(wanted, dict)
        else value.get(name) == wanted
        for name, wanted in filter.items()
    )


def _value(item: Item) -> dict[str, Any]:
    return {**content_to_plain(item), "text": text_of(item)}


def _kept(item: Item, key: str) -> Kept:
    made = item.source.made
    return Kept(
        value=_value(item), key=key, namespace=namespace_of(item), created_at=made, updated_at=made
    )


def _found(item: Item, score: float | None) -> SearchItem:
    made = item.source.made
    return SearchItem(
        namespace=namespace_of(item),
        key=item.id,
        value=_value(item),
        created_at=made,
        updated_at=made,
        score=score,
    )
