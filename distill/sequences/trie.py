"""The token trie of the admissible actions: where there is a choice, and between which tokens.

Acting walks it to choose, training walks it to know what was chosen from; one walk for both is
what makes the recorded probabilities and the trained ones the same numbers. Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the trie: which tokens may come next, and where each leads."""

    after: dict[int, Node] = field(default_factory=dict)

    @property
    def allowed(self) -> tuple[int, ...]:
        """Return the tokens that may come next, ascending; empty at the end of an action."""
        return tuple(sorted(self.after))


@dataclass(frozen=True, slots=True)
class Decision:
    """A token that was chosen, not forced."""

    position: int  # of the chosen token in the sequence; its logits stand one before
    token: int
    allowed: tuple[int, ...]  # ascending, includes the token; empty: the whole vocabulary


def grow(actions: Iterable[Sequence[int]]) -> Node:
    """Return the trie of token sequences, each of which must close with its own end token.

    The end token is what keeps "take apple 1" apart from "take apple 12".

    >>> grow([(7, 1, 0), (7, 1, 2, 0)]).after[7].after[1].allowed
    (0, 2)
    """
    root = Node()
    for action in actions:
        node = root
        for token in action:
            node = node.after.setdefault(token, Node())
    return root


def forced(node: Node) -> tuple[tuple[int, ...], Node]:
    """Return the tokens that follow without a choice, and where they lead.

    >>> forced(grow([(7, 1, 0), (7, 1, 2, 0)]))[0]
    (7, 1)
    """
    tokens: list[int] = []
    while len(node.after) == 1:
        ((token, node),) = node.after.items()
        tokens.append(token)
    return tuple(tokens), node


def choices(root: Node, tokens: Sequence[int]) -> Iterator[tuple[int, ...]] | None:
    """Return what was allowed at each token of an action, or None if the trie does not hold it."""
    allowed: list[tuple[int, ...]] = []
    node = root
    for token in tokens:
        allowed.append(node.allowed)
        if token not in node.after:
            return None
        node = node.after[token]
    return iter(allowed) if not node.after else None


def decisions(
    tokens: Sequence[int], start: int, actions: Iterable[Sequence[int]]
) -> tuple[Decision, ...]:
    """Return where the policy chose in `tokens`, a completion that begins at position `start`.

    Args:
        tokens: the completion, end token included.
        start: the position of its first token in the whole sequence.
        actions: the token sequences it could choose from; none, or none that is this completion
            (another policy wrote it freely): every token was chosen from the whole vocabulary.

    >>> [(d.position, d.allowed) for d in decisions((7, 1, 0), 40, [(7, 1, 0), (7, 1, 2, 0)])]
    [(42, (0, 2))]
    """
    allowed = choices(grow(actions), tokens)
    if allowed is None:
        return tuple(Decision(start + i, token, ()) for i, token in enumerate(tokens))
    return tuple(
        Decision(start + i, token, options)
        for i, (token, options) in enumerate(zip(tokens, allowed, strict=True))
        if len(options) > 1
    )
