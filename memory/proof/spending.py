"""How much error each new candidate may cost, so that trying many does not adopt many by chance.

Twenty worthless candidates tested at 5 % each give one adoption. The level therefore shrinks with
the rounds already judged and grows with the candidates already adopted.
"""

from dataclasses import dataclass, replace

FALSE_SHARE = 0.10
"""Of all that is ever adopted, the share expected to be no better. Higher: faster, more clutter."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What has been judged so far; a round is the candidates judged at one level.

    Javanmard and Montanari 2018 (LOND) with shares 1/(r(r+1)), which sum to 1 over all rounds. If
    each worthless candidate passes with at most its level given all earlier decisions, the
    expected share of worthless ones among the adopted is at most `false_share`, and so is the
    chance of ever adopting one when none is any good. We part from LOND in dividing a round's
    level evenly among its candidates. LORD++ earns more back after an adoption, but needs
    independent p-values for that guarantee, and our candidates meet the same tasks.
    """

    false_share: float = FALSE_SHARE
    rounds: int = 0
    adopted: int = 0

    def level(self, candidates: int = 1) -> float:
        """Return the level for each of the candidates of the next round.

        >>> Spending().level(), Spending(rounds=1, adopted=1).level(), Spending().level(10)
        (0.05, 0.03333333333333333, 0.005)
        """
        if candidates < 1:
            raise ValueError(f"{candidates} candidates in a round; there is nothing to judge")
        coming = self.rounds + 1
        return self.false_share * (self.adopted + 1) / (coming * (coming + 1) * candidates)

    def after(self, adopted: int) -> "Spending":
        """Return the state after a round in which so many were adopted."""
        return replace(self, rounds=self.rounds + 1, adopted=self.adopted + adopted)
