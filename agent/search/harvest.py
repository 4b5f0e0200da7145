"""What a search leaves behind: episodes, preferences between steps, values of moments.

All of it is marked as found by a search, for it is no sample of the policy: the tokens of its steps
are left out, so nothing that corrects for who sampled them can take them for one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from agent.search.search import Search
from agent.search.tree import Branch, Node
from environments.episode import Ending, Episode, Split, Step
from environments.seed import derive

OUTERMOST = 2
"""Best and worst children that are compared with each other (rStar-Math: two each)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Two ways on from the same moment, one of which led to better ends."""

    better: Episode  # ends right after the option
    worse: Episode
    shared: int  # their first steps, which are the same
    margin: float  # how far the means of their ends lie apart, 0 to 2


@dataclass(frozen=True, slots=True)
class Target:
    """A moment, the last of an episode that is cut there, and what it is worth, 0 to 1."""

    episode: Episode
    value: float


def searcher(policy: str, budget: int) -> str:
    """Return the name under which a policy acts that searches first.

    >>> searcher("random", 200)
    'random+search200'
    """
    return f"{policy}+search{budget}"


def episode_of(search: Search, branch: Branch, policy: str, now: datetime) -> Episode:
    """Return a branch of a search as an episode; the best one has the id of the attempt.

    Args:
        search: where it was found.
        branch: a way from the first observation.
        policy: the name of who proposed the steps.
        now: when the search was over.
    """
    attempt = search.attempt
    best = branch == search.found
    return Episode(
        id=attempt.id if best else f"{attempt.id}-{_fingerprint(branch.steps):016x}",
        task=attempt.task,
        steps=tuple(_untold(step) for step in branch.steps),
        ending=branch.ending or Ending.TRUNCATED,
        closing=branch.closing,
        policy=searcher(policy, search.settings.budget),
        seed=attempt.seed,
        briefing=attempt.briefing,
        started=search.began,
        seconds=(now - search.began).total_seconds(),
        run=attempt.run,
    )


def demonstrations(episodes: Iterable[Episode], *, per_task: int) -> tuple[Episode, ...]:
    """Return what was solved on train tasks: the shortest ways, so many of each task at most.

    A cap, for a task that is easy to solve would otherwise be most of what is imitated.
    """
    ways: dict[str, dict[tuple[str, ...], Episode]] = defaultdict(dict)
    for episode in episodes:
        if episode.solved and episode.task.split is Split.TRAIN:
            ways[episode.task.id].setdefault(episode.actions, episode)
    kept: list[Episode] = []
    for found in ways.values():
        kept += sorted(found.values(), key=lambda each: len(each.steps))[:per_task]
    return tuple(kept)


def preferences(
    search: Search, policy: str, now: datetime, *, margin: float = 0.0
) -> Iterator[Preference]:
    """Yield the best and worst steps from each moment, where they differ by more than a margin.

    Two of each, after rStar-Math (Guan et al. 2025, arXiv:2501.04519): which of two steps is better
    is known long before how good either is.
    """
    for node in _learnable(search):
        ranked = sorted(node.children, key=lambda child: child.mean, reverse=True)
        half = min(OUTERMOST, len(ranked) // 2)
        for good, bad in product(ranked[:half], ranked[len(ranked) - half :]):
            if good.mean - bad.mean > margin:
                yield Preference(
                    better=_cut(search, good, policy, now),
                    worse=_cut(search, bad, policy, now),
                    shared=len(node.steps),
                    margin=good.mean - bad.mean,
                )


def returns(search: Search, policy: str, now: datetime) -> Iterator[Target]:
    """Yield what was found on average from each moment where it goes on, as a chance."""
    for node in _learnable(search):
        if node.option and node.ending is None and node.visits:
            yield Target(_cut(search, node, policy, now), (node.mean + 1) / 2)


def progress(search: Search, policy: str, now: datetime) -> Iterator[Target]:
    """Yield how far each moment is on the way, where a way was found (ReST-MCTS*).

    After step k of K it is k/K; a child that leaves the way is worth one step less than where it
    leaves it: max((k - 1)/K, 0) (Zhang et al. 2024, arXiv:2406.03816).
    """
    best = search.best
    if best is None or best.branch.ending is not Ending.SOLVED:
        return
    total = len(best.branch.steps)
    way = set(best.node.way)
    for node in _learnable(search):
        for child in node.children if node in way else ():
            depth = len(child.steps) if child in way else max(len(node.steps) - 1, 0)
            yield Target(_cut(search, child, policy, now), depth / total)


def failures(search: Search, policy: str, now: datetime, *, most: int) -> tuple[Episode, ...]:
    """Return the failed branches that were judged most promising, for a critic to learn from."""
    if search.attempt.task.split is not Split.TRAIN:
        return ()
    ranked = sorted(search.failed, key=lambda each: each.worth, reverse=True)[:most]
    return tuple(episode_of(search, each.branch, policy, now) for each in ranked)


def _learnable(search: Search) -> Iterable[Node]:
    """Return the nodes of a tree, if its task is one to learn from."""
    return search.root.walk() if search.attempt.task.split is Split.TRAIN else ()


def _cut(search: Search, node: Node, policy: str, now: datetime) -> Episode:
    branch = Branch(search.attempt.task, node.steps, node.seen.text, node.ending)
    return episode_of(search, branch, policy, now)


def _untold(step: Step) -> Step:
    """Return the step without its tokens: the search chose it, whatever the policy's chances."""
    return replace(step, completion=replace(step.completion, token_ids=(), logprobs=()))


def _fingerprint(steps: Sequence[Step]) -> int:
    return derive("branch", *(step.completion.text for step in steps))
