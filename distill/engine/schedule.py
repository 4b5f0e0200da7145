"""Which lane works for which turn, and what each is fed in a tick.

Lanes belong to episodes, so an episode's next turn finds its own transcript there; a new episode
starts from whatever prefix another lane already holds. Bookkeeping on token ids: it decides, the
engine computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distill.engine.lanes import Feed
from distill.sequences.trie import Node, forced

if TYPE_CHECKING:
    import numpy as np

TICK_TOKENS = 1024
"""New tokens per forward pass over all lanes; more would hold up the turns that need only one."""

WORTH_COPYING = 16
"""Shared tokens from which on another lane's prefix is copied, or waited for."""

GRACE = 2
"""Ticks for which an idle lane is taken to belong to an episode that will be back."""


class Writing:
    """A completion in the making."""

    def __init__(
        self, episode: str, prompt: tuple[int, ...], node: Node | None, random: np.random.Generator
    ) -> None:
        self.episode = episode
        self.prompt = prompt
        self.node = node  # its place in the trie of admissible actions; None: free text
        self.random = random
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self._follow()

    @property
    def tokens(self) -> list[int]:
        return [*self.prompt, *self.ids]

    @property
    def determined(self) -> bool:
        """Whether the trie leaves nothing to choose."""
        return self.node is not None and not self.node.after

    def append(self, token: int, logprob: float) -> None:
        """Take a chosen token, and those that must follow it."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        if self.node is not None:
            self.node = self.node.after[token]
            self._follow()

    def _follow(self) -> None:
        if self.node is not None:
            tokens, self.node = forced(self.node)
            self.ids += tokens
            self.logprobs += [0.0] * len(tokens)


@dataclass(eq=False, slots=True)
class Lane:
    index: int
    episode: str | None = None  # None: never used
    held: list[int] = field(default_factory=list)  # the tokens whose keys and values it holds
    writing: Writing | None = None
    idle_since: int = 0  # tick


@dataclass(frozen=True, slots=True)
class Planned:
    """A lane's part in a tick."""

    feed: Feed
    writing: Writing
    complete: bool  # whether the next token can be chosen after this feed


class Schedule:
    def __init__(self, width: int, *, rewinds: bool) -> None:
        """Start with empty lanes.

        Args:
            width: how many lanes.
            rewinds: whether a lane can drop its last tokens and copy another's first.
        """
        self.lanes = [Lane(index) for index in range(width)]
        self.waiting: list[Writing] = []
        self._rewinds = rewinds
        self._tick = 0

    @property
    def busy(self) -> bool:
        return bool(self.waiting) or any(lane.writing for lane in self.lanes)

    def plan(self) -> list[Planned]:
        """Give waiting turns a lane and return what to feed; the lanes are taken to hold it."""
        self._tick += 1
        self._assign()
        planned: list[Planned] = []
        targets: list[list[int]] = []
        left = TICK_TOKENS
        for lane in sorted(self.lanes, key=_missing):
            if lane.writing is None or left == 0:
                continue
            tokens = lane.writing.tokens
            donor, start = self._start(lane, tokens)
            if _longest(targets, tokens) > start + WORTH_COPYING:
                continue  # another lane is computing what this one needs: copy it next tick
            ids = tokens[start : start + left]
            lane.held = tokens[:start]  # what is there to copy from before anything is fed
            left -= len(ids)
            targets.append(tokens)
            complete = start + len(ids) == len(tokens)
            feed = Feed(lane.index, start, ids, donor)
            planned.append(Planned(feed, lane.writing, complete))
        for each in planned:
            self.lanes[each.feed.lane].held += each.feed.ids
        return planned

    def finish(self, writings: Iterable[Writing]) -> None:
        """Free what worked for these turns, done or given up; their lanes keep their tokens."""
        gone = set(writings)
        self.waiting = [writing for writing in self.waiting if writing not in gone]
        for lane in self.lanes:
            if lane.writing in gone:
                lane.writing, lane.idle_since = None, self._tick

    def forget(self) -> None:
        """Take every lane to hold nothing."""
        for lane in self.lanes:
            lane.held = []

    def _assign(self) -> None:
        working = any(lane.writing for lane in self.lanes)
        strangers: list[Writing] = []
        for writing in self.waiting:
            lane = next(
                (e for e in self.lanes if e.episode == writing.episode and e.writing is None), None
            )
            if lane is None:
                strangers.append(writing)
            else:
                lane.writing, working = writing, True
        free = sorted(
            (lane for lane in self.lanes if lane.writing is None and self._given(lane, working)),
            key=lambda lane: (lane.episode is not None, lane.idle_since),
        )
        for lane, writing in zip(free, strangers, strict=False):
            lane.writing, lane.episode = writing, writing.episode
        self.waiting = strangers[len(free) :]

    def _given(self, lane: Lane, working: bool) -> bool:
        """Whether a stranger may have an idle lane: its own episode is likely over."""
        return lane.episode is None or not working or self._tick - lane.idle_since > GRACE

    def _start(self, lane: Lane, tokens: list[int]) -> tuple[int | None, int]:
        """Return a lane to copy from, if that helps, and how many tokens need not be fed."""
        most = len(tokens) - 1  # the last one must be fed: its hidden state is what is asked for
        start = min(shared(lane.held, tokens), most)
        if not self._rewinds:
            return None, start if start == len(lane.held) else 0
        if most - start < WORTH_COPYING:
            return None, start
        best = max(self.lanes, key=lambda each: shared(each.held, tokens))
        length = min(shared(best.held, tokens), most)
        return (best.index, length) if length > start + WORTH_COPYING else (None, start)


def shared(left: Sequence[int], right: Sequence[int]) -> int:
    """Return the length of the common prefix.

    >>> shared([1, 2, 3], [1, 2, 4, 5])
    2
    """
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    return next(i for i in range(length) if left[i] != right[i])


def _longest(targets: Sequence[Sequence[int]], tokens: Sequence[int]) -> int:
    return max((shared(target, tokens) for target in targets), default=0)


def _missing(lane: Lane) -> int:
    return 0 if lane.writing is None else len(lane.writing.tokens) - len(lane.held)
