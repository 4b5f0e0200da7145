"""Which moments are the same, so that nothing is looked at twice.

By the state of the world where a play tells it. Else by what was done and what is seen: exactly
where actions are listed, for "drawer 1" and "drawer 2" are nearly the same words and not the same
place; by likeness where any text is an action.
"""

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher

from agent.search.tree import Node
from environments.environment import Observation, Play, Recognizable
from environments.episode import Step

ALIKE = 0.9
"""Share of characters in common from which two free texts are one (AlphaLLM: fewer than 20 to 50
edits, on solutions of some 300 characters)."""


def state_of(play: Play) -> Hashable:
    """Return what tells this moment from others, or None where a play does not say."""
    return play.state if isinstance(play, Recognizable) else None


def repeated(node: Node, option: Sequence[Step]) -> Node | None:
    """Return the child that these actions lead to again, without having to take them."""
    texts = _texts(option)
    free = not node.seen.admissible
    for child in node.children:
        others = _texts(child.option)
        if others == texts or (free and _likeness(others, texts) >= ALIKE):
            return child
    return None


def indistinct(node: Node, state: Hashable, seen: Observation) -> Node | None:
    """Return the node itself or the child that looks the same, where no state tells."""
    if state is not None or seen.ending is not None:
        return None
    looks = (seen.text, seen.admissible)
    near = (node, *node.children)
    return next((e for e in near if (e.seen.text, e.seen.admissible) == looks), None)


def _texts(option: Sequence[Step]) -> tuple[str, ...]:
    return tuple(step.action or step.completion.text for step in option)


def _likeness(left: Sequence[str], right: Sequence[str]) -> float:
    return SequenceMatcher(None, "\n".join(left), "\n".join(right), autojunk=False).ratio()
