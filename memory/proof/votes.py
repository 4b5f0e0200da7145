"""What several judges say together, for every critic and every signal that asks more than once."""

from collections import Counter
from collections.abc import Sequence


def majority(votes: Sequence[int | None]) -> int:
    """Return the vote (1 good, -1 bad, 0 neither) that most judges gave.

    An unreadable vote (None) is ignored; a tie for the first place, or no vote at all, is 0.
    OpenClaw-RL (arXiv:2603.10165, read from its code).

    >>> majority([1, 1, -1]), majority([1, -1]), majority([-1, None, -1]), majority([None])
    (1, 0, -1, 0)
    """
    ranked = Counter(vote for vote in votes if vote is not None).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return 0
    return ranked[0][0]
