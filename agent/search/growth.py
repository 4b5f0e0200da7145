"""Growing one branch: an option is proposed and taken, and what is new is rolled out to its end.

It reads the tree and changes nothing in it, so many branches grow at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.attempt import Attempt
from agent.search.critics import Aspect, Opinion
from agent.search.merging import repeated
from agent.search.settings import SearchSettings
from agent.search.tree import Node
from agent.search.walk import Scene, Walk, fork
from environments.environment import Play
from environments.episode import Step
from environments.seed import derive


@dataclass(slots=True, eq=False)
class Grown:
    """What came of growing one branch."""

    node: Node  # where it leaves the tree
    walk: Walk  # up to the end of the option
    option: tuple[Step, ...] = ()
    again: Node | None = None  # the node that the option leads to, if it is known
    child: Node | None = None  # the new one
    ends: list[Walk] = field(default_factory=list[Walk])  # rolled out from there
    opinion: Opinion = field(default_factory=Opinion)

    @property
    def node_told(self) -> Node | None:
        """Return whom the findings are about; None: nothing was found."""
        return self.child or (self.again if self.ends else None)

    @property
    def over(self) -> list[Walk]:
        """Return the walks that came to an end, rather than to that of the budget."""
        own = [self.walk] if self.child is not None else []
        return [walk for walk in (*own, *self.ends) if walk.ending is not None]


@dataclass(frozen=True, slots=True)
class Grower:
    """Grows branches of one attempt."""

    scene: Scene
    attempt: Attempt
    settings: SearchSettings
    known: Callable[[Walk], bool]  # whether another branch has come to this state as early

    @property
    def rollouts(self) -> int:
        """Return how many rollouts a new node gets: none where nobody judges their ends."""
        return self.settings.rollouts if Aspect.OUTCOME in self.scene.critics else 0

    async def whole(self, node: Node, lane: int, left: int, seed: int) -> Grown:
        """Make an attempt from the beginning."""
        play = self.scene.environment.start(self.attempt.task)
        walk = self._walk(node, play, lane, left)
        await walk.to_an_end(self.scene.policy, seed)
        return Grown(node, walk, again=node, ends=[walk])

    async def option(self, node: Node, lane: int, left: int, seed: int) -> Grown:
        """Have an option proposed at a node and take it; what is new is rolled out."""
        assert node.play is not None
        walk = self._walk(node, fork(node.play), lane, left)
        start = len(walk.steps)
        again = await self._take(node, walk, start, seed)
        grown = Grown(node, walk, tuple(walk.steps[start:]), again)
        if grown.option and again is None and walk.going and not self.known(walk):
            left = walk.left
            for number in range(self.rollouts):
                ahead = walk.ahead()
                ahead.left = left
                await ahead.to_an_end(self.scene.fast, derive(seed, "rollout", number))
                left = ahead.left
                grown.ends.append(ahead)
        return grown

    async def _take(self, node: Node, walk: Walk, start: int, seed: int) -> Node | None:
        """Take the actions of one option; return the child it leads to, if it is known already."""
        stop, but = self.scene.stop, self._taken(node)
        while walk.going and len(walk.steps) - start < self.settings.option:
            thought = await walk.think(self.scene.policy, derive(seed, len(walk.steps)), but)
            if thought is None or thought.action is None:
                return None
            again = repeated(node, (*walk.steps[start:], thought))
            if again is not None:
                return again
            walk.act(thought)
            if stop is not None and stop(walk.steps[start:], walk.play.observation):
                return None
        return None

    def _taken(self, node: Node) -> frozenset[str | None]:
        """Return the actions that need not be proposed again, where options are single actions."""
        if self.settings.again or self.settings.option > 1:
            return frozenset()
        return frozenset(child.option[0].action for child in node.children)

    def _walk(self, node: Node, play: Play, lane: int, left: int) -> Walk:
        return Walk(
            scene=self.scene,
            attempt=self.attempt,
            lane=f"{self.attempt.id}/{lane}",
            play=play,
            steps=list(node.steps),
            left=left,
        )
