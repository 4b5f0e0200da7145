"""How much each run of `audit spurious` practices and is examined: what its cost is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How much of what."""

    rounds: int = 3
    tasks: int = 8  # practised a round
    attempts: int = 8  # at each
    held_out: int = 20  # tasks examined
    tries: int = 4  # at each of them
    demonstrations: int = 16  # of the common beginning, if the policy is a bare model; 0: none

    @property
    def practised(self) -> int:
        """Return the attempts of one round."""
        return self.tasks * self.attempts

    @property
    def examined(self) -> int:
        """Return the attempts of one examination."""
        return self.held_out * self.tries
