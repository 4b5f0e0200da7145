"""Tree search for one attempt: where to look, what is found there, and what it says of the rest.

It goes in rounds. In a round some branches are chosen one after the other, each as if those before
it were lost; they are grown together, so that a local policy decodes them in one batch; and what
was found is told to the tree in the order in which they were chosen. So what is found depends on
the seed alone, never on who answered first, and between two rounds the tree is whole: a search
that is cancelled has found what it has found.

Where a play cannot be forked, every branch is an attempt from the beginning (re-ranking).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from statistics import fmean
from typing import Any

from agent.attempt import Attempt
from agent.search.critics import GOOD, Aspect, ask
from agent.search.growth import Grower, Grown
from agent.search.merging import indistinct, repeated, state_of
from agent.search.selection import close, select
from agent.search.settings import SearchSettings
from agent.search.tree import Branch, Node
from agent.search.walk import Scene, Spent, Walk
from environments.environment import Forkable
from environments.episode import Ending, Step
from environments.seed import derive

KEPT = 8
"""Solved and failed branches kept of one search: what is learned from one task is capped anyway."""


class Why(StrEnum):
    """Why a search ended."""

    STOPPED = "it was told to stop"
    SURE = "the outcome critic is sure of a branch"
    SPENT = "the budget is spent"
    FULL = "the tree is full"
    LATE = "the time is up"
    KNOWN = "nothing is left to be found"


@dataclass(frozen=True, slots=True)
class Finished:
    """A branch that is over, and what the critics say of it."""

    branch: Branch
    node: Node  # where it leaves the tree
    outcome: float | None  # of the outcome critic; None: there is none
    score: float  # of all that were asked

    @property
    def worth(self) -> tuple[float, float, int]:
        """Return what it is chosen by: how it ended, all scores, how short it is."""
        return self.outcome or 0.0, self.score, -len(self.branch.steps)


class Search:
    """One attempt, searched. `run` may be cancelled at any time; what was found stays."""

    def __init__(
        self,
        scene: Scene,
        attempt: Attempt,
        settings: SearchSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self.attempt = attempt
        self.settings = settings
        self.began = clock()
        self.spent = Spent()
        self.nodes = 1
        self.best: Finished | None = None
        self.solved: deque[Finished] = deque(maxlen=KEPT)
        self.failed: deque[Finished] = deque(maxlen=KEPT)
        self.opinions: dict[Aspect, list[tuple[float, float]]] = {}  # score, share that succeeded
        self.why: Why | None = None  # None: it is not over
        self._scene = scene
        self._clock = clock
        self._stopping = False
        self._breadth = settings  # grows when all that it allows is known, and budget is left
        self._grower = Grower(scene, attempt, settings, self._known)
        play = scene.environment.start(attempt.task)
        self.forks = isinstance(play, Forkable)
        self.root = Node(None, (), play.observation, play=play, state=state_of(play))
        self._depths: dict[Hashable, int] = {self.root.state: 0}  # of known states, in steps

    @property
    def found(self) -> Branch:
        """Return the best branch that is over, else the one looked at most, cut where it is."""
        if self.best is not None:
            return self.best.branch
        node = self.likeliest
        return Branch(self.attempt.task, node.steps, node.seen.text, Ending.TRUNCATED)

    @property
    def critics(self) -> dict[Aspect, str]:
        """Return the names of those who are asked."""
        return {aspect: each.critic.name for aspect, each in self._scene.critics.items()}

    @property
    def likeliest(self) -> Node:
        """Return where the search has looked most."""
        node = self.root
        while node.children:
            node = max(node.children, key=lambda child: (child.visits, child.mean))
        return node

    def stop(self) -> None:
        """End the search after the round it is in."""
        self._stopping = True

    async def run(self) -> None:
        """Search until the budget is spent, or there is no need or no way to go on.

        Raises:
            UserError: the policy or a critic cannot work, and someone can mend that.
        """
        critics = self._scene.critics
        if self.forks and Aspect.VALUE in critics:
            here = Branch(self.attempt.task, (), self.root.seen.text, None)
            (self.root.score,) = await ask(critics, Aspect.VALUE, [here])
        while (why := self._over()) is None:
            chosen = self._choose()
            if chosen:
                await self._round(chosen)
            elif not self._widen():
                why = Why.KNOWN
                break
        self.why = why

    def _over(self) -> Why | None:
        limit = self._scene.limits.seconds
        late = limit is not None and (self._clock() - self.began).total_seconds() >= limit
        sure = self.best is not None and self.best.outcome == GOOD
        reasons = {
            Why.STOPPED: self._stopping,
            Why.SURE: sure and self.settings.until_solved,
            Why.SPENT: self.spent.steps >= self.settings.budget,
            Why.FULL: self.nodes >= self.settings.nodes,
            Why.LATE: late,
        }
        return next((why for why, holds in reasons.items() if holds), None)

    def _choose(self) -> list[Node]:
        """Choose where to grow, so many at once that each has room to come to an end."""
        whole = self._grower.rollouts or not self.forks
        needed = self._scene.limits.steps if whole else self.settings.option
        room = max(1, (self.settings.budget - self.spent.steps) // needed)
        chosen: list[Node] = []
        while len(chosen) < min(self.settings.at_once, room):
            node = select(self.root, self._breadth) if self.forks else self.root
            if node is None:
                break
            _mark(node, +1)
            chosen.append(node)
        return chosen

    def _widen(self) -> bool:
        """Look one child more broadly at every node; False: it is as broad as it may be."""
        now = self._breadth
        if now.fewest >= now.most:
            return False
        first = min(now.fewest_first + 1, now.most)
        self._breadth = replace(now, fewest=now.fewest + 1, fewest_first=first)
        for node in self.root.walk():
            node.closed = node.ending is not None
        return True

    async def _round(self, chosen: Sequence[Node]) -> None:
        try:
            grown = await _together(self._jobs(chosen))
        finally:
            for node in chosen:
                _mark(node, -1)
        for each in grown:
            for walk in {each.walk, *each.ends}:
                self.spent.add(walk.spent)
            if self.forks:
                self._settle(each)
        await self._opine([each for each in grown if each.child is not None])
        await self._judge_ends(grown)
        for each in grown:
            told = each.node_told
            if told is not None and each.opinion.said:
                told.back_up(self._scored(each))
            close(told or each.node, self._breadth)

    def _jobs(self, chosen: Sequence[Node]) -> list[Coroutine[Any, Any, Grown]]:
        share, more = divmod(self.settings.budget - self.spent.steps, len(chosen))
        grow = self._grower.option if self.forks else self._grower.whole
        jobs: list[Coroutine[Any, Any, Grown]] = []
        for lane, node in enumerate(chosen):
            node.tries += 1
            seed = derive(self.attempt.seed, "search", _place(node), node.tries)
            jobs.append(grow(node, lane, share + (lane < more), seed))
        return jobs

    def _settle(self, grown: Grown) -> None:
        """Put what was grown into the tree, unless it is there already."""
        node, walk = grown.node, grown.walk
        if grown.option and grown.again is None:
            state, seen = state_of(walk.play), walk.play.observation
            grown.again = repeated(node, grown.option) or indistinct(node, state, seen)
        if grown.again is not None:
            grown.again.repeats += 1
        lost = not grown.option or (walk.ending is None and self._known(walk))
        if grown.again is not None or lost or self.nodes >= self.settings.nodes:
            node.misses += 1
            return
        grown.child = _child(node, grown.option, walk)
        node.children.append(grown.child)
        node.misses = 0
        self.nodes += 1
        if grown.child.state is not None:
            self._depths[grown.child.state] = len(walk.steps)

    def _known(self, walk: Walk) -> bool:
        """Whether another branch has come to this state in no more steps."""
        depth = None if state_of(walk.play) is None else self._depths.get(state_of(walk.play))
        return depth is not None and depth <= len(walk.steps)

    async def _opine(self, new: Sequence[Grown]) -> None:
        """Ask what the new moments are worth, and whether the steps that led there were good."""
        branches = [each.walk.branch for each in new]
        for aspect in (Aspect.VALUE, Aspect.PROCESS):
            if aspect in self._scene.critics:
                scores = await ask(self._scene.critics, aspect, branches)
                for each, score in zip(new, scores, strict=True):
                    each.opinion.said[aspect] = score

    async def _judge_ends(self, grown: Sequence[Grown]) -> None:
        """Ask how the branches that are over did, and keep the best of them."""
        ends = [(each, walk.branch) for each in grown for walk in each.over]
        outcomes: Sequence[float | None] = [None] * len(ends)
        if Aspect.OUTCOME in self._scene.critics:
            branches = [branch for _, branch in ends]
            outcomes = await ask(self._scene.critics, Aspect.OUTCOME, branches)
        by_grown: dict[Grown, list[float]] = {}
        for (each, _), outcome in zip(ends, outcomes, strict=True):
            if outcome is not None:
                by_grown.setdefault(each, []).append(outcome)
        for each, came in by_grown.items():
            self._compare(each, came)
            each.opinion.said[Aspect.OUTCOME] = fmean(came)
        for (each, branch), outcome in zip(ends, outcomes, strict=True):
            score = each.opinion.score(self._scene.critics)
            self._keep(Finished(branch, each.node_told or each.node, outcome, score))

    def _compare(self, grown: Grown, outcomes: Sequence[float]) -> None:
        """Note how what was said before the end compares with the end."""
        came = fmean(outcome > 0 for outcome in outcomes)
        for aspect, score in grown.opinion.said.items():
            self.opinions.setdefault(aspect, []).append((score, came))

    def _keep(self, finished: Finished) -> None:
        if self.best is None or finished.worth > self.best.worth:
            self.best = finished
        solved = finished.branch.ending is Ending.SOLVED
        (self.solved if solved else self.failed).append(finished)

    def _scored(self, grown: Grown) -> float:
        score = grown.opinion.score(self._scene.critics)
        if grown.child is not None:
            grown.child.score = score
        return score


def _child(node: Node, option: tuple[Step, ...], walk: Walk) -> Node:
    over = walk.ending is not None
    return Node(
        parent=node,
        option=option,
        seen=walk.play.observation,
        ending=walk.ending,
        play=None if over else walk.play,
        state=None if over else state_of(walk.play),
    )


def _mark(node: Node, change: int) -> None:
    for each in node.way:
        each.under_way += change


def _place(node: Node) -> str:
    """Return what tells a node from others in the tree: the number of each child on the way."""
    way = node.way
    return "/".join(str(a.children.index(b)) for a, b in pairwise(way))


async def _together(jobs: Sequence[Coroutine[Any, Any, Grown]]) -> Sequence[Grown]:
    """Return what all of them found; whatever ends one of them early ends all."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
