"""How a search spends what it is given: its budget, its bounds, and how broad it looks."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """AlphaLLM's constants (Tian et al. 2024, arXiv:2404.12253, table 8), for small budgets.

    Where it draws thousands of tokens for one question, 200 simulated steps are six attempts at a
    household: a root as broad as its 10 to 60 would spend them all without a second look.

    The mean is what it backs up, and right where scores err: the best of many is the luckiest. It
    pulls away from one good branch among bad ones, though. With a critic that knows the best end
    below each moment, 60 steps find the best of 125 ends in 39 of 100 trees, by the peak in 98.
    """

    budget: int = 200  # steps simulated for one episode, those of rollouts included
    nodes: int = 1_000  # moments held at once; a full tree ends the search
    at_once: int = 8  # branches grown together, so that a local policy decodes them in one batch
    option: int = 1  # actions of one option, at most
    rollouts: int = 1  # from a new node to an end (AlphaLLM 4: +0.6 points for four times the cost)
    exploration: float = 1.0  # c of the confidence bound; scores are in [-1, 1]
    peak: float = 0.0  # share of the best score found below a node, against the mean, where to look
    alpha: float = 2.0  # children per unit of importance (1 in the table, 2 in its scripts)
    fewest: int = 2  # children of a node, unless the policy knows no more
    fewest_first: int = 3  # the same at the root
    most: int = 10  # children of a node
    again: bool = False  # propose what a child did already; a policy that is sure does little else
    misses: int = 5  # proposals in a row that bring nothing new: the policy knows no more there
    until_solved: bool = True  # stop when the outcome critic is sure of a branch

    def __post_init__(self) -> None:
        for name in ("budget", "nodes", "at_once", "option", "fewest", "fewest_first", "most"):
            if getattr(self, name) < 1:
                raise ValueError(f"a search with {name}={getattr(self, name)}; it must be positive")
        if not 0 <= self.peak <= 1:
            raise ValueError(f"a search with peak={self.peak}; it is a share, 0 to 1")
        if max(self.fewest, self.fewest_first) > self.most:
            raise ValueError(f"at least {self.fewest} and at most {self.most} children")

    @classmethod
    def known(cls) -> tuple[str, ...]:
        """Return the names of the settings."""
        return tuple(each.name for each in fields(cls))
