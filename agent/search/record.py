"""A search as a value that can be kept and drawn: its tree, what it cost, how its critics did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from agent.search.critics import Aspect
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.tree import Node
from agent.search.walk import Spent
from environments.episode import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Twig:
    """A node, without what it takes to go on from there."""

    parent: int | None  # its place in the list; None: the root
    actions: tuple[str, ...]
    visits: int
    mean: float
    score: float
    repeats: int
    ending: Ending | None
    chosen: bool  # on the way that was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One search, as it is kept beside its episode."""

    episode: str
    settings: SearchSettings
    why: str  # it ended
    spent: Spent
    twigs: tuple[Twig, ...]  # parents first
    rest: tuple[str, ...]  # the actions of the chosen way beyond the tree, found by a rollout
    opinions: Mapping[Aspect, tuple[tuple[float, float], ...]]  # score, share that succeeded
    critics: Mapping[Aspect, str] = field(default_factory=dict[Aspect, str])  # whose they are


_SEARCHED = TypeAdapter(Searched)


def record(search: Search) -> Searched:
    """Return a search as it is now."""
    last = search.likeliest if search.best is None else search.best.node
    steps = search.found.steps[len(last.steps) :]
    return Searched(
        episode=search.attempt.id,
        settings=search.settings,
        why="it was cancelled" if search.why is None else search.why.value,
        spent=search.spent,
        twigs=tuple(_twigs(search.root, set(last.way))),
        rest=tuple(step.action or step.completion.text for step in steps),
        opinions={aspect: tuple(said) for aspect, said in search.opinions.items()},
        critics=search.critics,
    )


def to_json(searched: Searched) -> bytes:
    """Return it as UTF-8 JSON."""
    return _SEARCHED.dump_json(searched)


def from_json(data: bytes) -> Searched:
    """Return what `to_json` wrote.

    Raises:
        pydantic.ValidationError: the data is no search.
    """
    return _SEARCHED.validate_json(data)


def _twigs(root: Node, way: set[Node]) -> Iterator[Twig]:
    places: dict[Node, int] = {}
    for node in root.walk():
        places[node] = len(places)
        yield Twig(
            parent=None if node.parent is None else places[node.parent],
            actions=tuple(step.action or step.completion.text for step in node.option),
            visits=node.visits,
            mean=node.mean,
            score=node.score,
            repeats=node.repeats,
            ending=node.ending,
            chosen=node in way,
        )
