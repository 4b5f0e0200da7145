"""Where a round takes place: what all its stages share."""

from dataclasses import dataclass, replace

from apprentice.settings.config import Config
from environments.seed import derive
from memory.proof.rounds import Round, Rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    config: Config  # the round's own, with the places of today
    round: Round
    rounds: Rounds
    coming: tuple[Round, ...] = ()  # practised while this one trains; of the same settings

    def seed(self, *what: str | int) -> int:
        """Return a seed of this round's own."""
        return derive(self.round.seed, "round", self.round.number, *what)

    @property
    def following(self) -> "tuple[Site, ...]":
        """Return where the rounds take place that are practised ahead."""
        return tuple(replace(self, round=each, coming=()) for each in self.coming)

    @property
    def practice(self) -> str:
        """Return the run that the attempts of the round belong to."""
        return practice_of(self.round.id)


def practice_of(round: str) -> str:
    """Return the run that the attempts of the round with this id belong to."""
    return f"{round}-practice"
