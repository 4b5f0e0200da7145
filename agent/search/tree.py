"""The moments that a search has come to, and what was found beyond each.

What is backed up is a sum and a count, divided once where the mean is read: dividing while backing
up and again while selecting, as LATS' released code does, prefers what was visited seldom.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from environments.environment import Observation, Play
from environments.episode import Ending, Step, Task

VIRTUAL_LOSS = 1.0
"""What a branch under way is taken to have lost, so that the next one looks elsewhere."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A way from the first observation on: all that a critic is told."""

    task: Task
    steps: tuple[Step, ...]
    closing: str  # what is seen at its end
    ending: Ending | None  # None: it can go on


@dataclass(slots=True, eq=False)
class Node:
    """A moment, reached from its parent by an option."""

    parent: "Node | None"
    option: tuple[Step, ...]  # the actions taken there, at least one; empty: the root
    seen: Observation
    ending: Ending | None = None  # limits included; None: it goes on
    play: Play | None = None  # to go on from; None: it is over
    state: Hashable = None  # what tells it from other moments; None: nothing but its words
    score: float = 0.0  # the critics', when it was new
    visits: int = 0
    total: float = 0.0
    peak: float = -1.0  # the best score found at and below it
    under_way: int = 0  # branches being grown below it
    repeats: int = 0  # how often the policy proposed it again
    tries: int = 0  # proposals asked for here
    misses: int = 0  # proposals in a row that brought nothing new
    closed: bool = False  # nothing below is left to be found, as broadly as is looked now
    children: list["Node"] = field(default_factory=list["Node"])

    @property
    def mean(self) -> float:
        """Return the arithmetic mean of the scores found at and below it."""
        return self.total / self.visits if self.visits else 0.0

    @property
    def pessimistic(self) -> float:
        """Return the mean if all branches under way were lost."""
        count = self.visits + self.under_way
        return (self.total - VIRTUAL_LOSS * self.under_way) / count if count else 0.0

    @property
    def importance(self) -> float:
        """Return how far a child's score is from its own (AlphaLLM, eq. 3; 0 without children).

        Its released code compares with the mean of the children instead; a node whose children
        are all much better than it was thought to be would then be of no importance.
        """
        return max((abs(child.score - self.score) for child in self.children), default=0.0)

    @property
    def way(self) -> tuple["Node", ...]:
        """Return the nodes from the root down to this one."""
        up: list[Node] = [self]
        while up[-1].parent is not None:
            up.append(up[-1].parent)
        return tuple(reversed(up))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return all steps from the first observation to here."""
        return tuple(step for node in self.way for step in node.option)

    def back_up(self, score: float) -> None:
        """Tell this node and all above it what was found."""
        for node in self.way:
            node.visits += 1
            node.total += score
            node.peak = max(node.peak, score)

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it, parents first."""
        left: list[Node] = [self]
        while left:
            node = left.pop()
            yield node
            left.extend(reversed(node.children))
