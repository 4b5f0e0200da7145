"""Where to look next, and how broadly: pure decisions on a tree."""

from math import floor, log, sqrt

from agent.search.settings import SearchSettings
from agent.search.tree import Node


def bound(node: Node, parent_visits: int, exploration: float, peak: float = 0.0) -> float:
    """Return the upper confidence bound of a child (UCB1, Auer et al. 2002).

    Of its mean, or of so much of the best score found below it (`SearchSettings.peak`).

    q/n + c sqrt(ln N / n), as AlphaLLM's code has it; its formula, as typeset, divides within the
    logarithm and explores less the more often the parent was visited.
    """
    visits = node.visits + node.under_way
    worth = (1 - peak) * node.pessimistic + peak * node.peak
    return worth + exploration * sqrt(log(max(parent_visits, 1)) / max(visits, 1))


def breadth(importance: float, settings: SearchSettings, *, first: bool = False) -> int:
    """Return how many children a node of this importance may have (AlphaLLM, eq. 4).

    max(c_min, min(floor(alpha I) + 1, c_max)); its released code leaves out the 1.
    """
    fewest = settings.fewest_first if first else settings.fewest
    return max(fewest, min(floor(settings.alpha * importance) + 1, settings.most))


def wants_child(node: Node, settings: SearchSettings) -> bool:
    """Whether a node is to be proposed another option, beside those under way."""
    if node.play is None or node.misses >= settings.misses:
        return False
    known = len(node.seen.admissible)
    most = breadth(node.importance, settings, first=node.parent is None)
    growing = node.under_way - sum(child.under_way for child in node.children)
    return len(node.children) + growing < (min(most, known) if known else most)


def select(root: Node, settings: SearchSettings) -> Node | None:
    """Return the node to grow next; None: all that is open is under way."""
    node = root
    while not wants_child(node, settings):
        visits = node.visits + node.under_way
        ready = [child for child in node.children if _promising(child, settings)]
        if not ready:
            return None
        node = max(ready, key=lambda child: _bound(child, visits, settings))
    return node


def close(node: Node, settings: SearchSettings) -> None:
    """Close a node below which nothing is left, and those above it that this leaves none."""
    at: Node | None = node
    while at is not None and not _open(at, settings):
        at.closed = True
        at = at.parent


def _open(node: Node, settings: SearchSettings) -> bool:
    return wants_child(node, settings) or any(not child.closed for child in node.children)


def _bound(node: Node, parent_visits: int, settings: SearchSettings) -> float:
    return bound(node, parent_visits, settings.exploration, settings.peak)


def _promising(node: Node, settings: SearchSettings) -> bool:
    if node.closed:
        return False
    return wants_child(node, settings) or any(_promising(e, settings) for e in node.children)
