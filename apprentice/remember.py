"""What memory says before each attempt of a run, and the note of it beside its episode."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from agent.attempt import Attempt
from environments.episode import Episode, Split
from environments.seed import derive
from memory.bank import Bank
from memory.candidates import Shelf
from memory.credit import credit
from memory.items import Recalled, Standing
from memory.recall import Choice, Lot, Recollection, Space, Taste, recall

Worth: TypeAlias = dict[str, float]
Told: TypeAlias = dict[str, Recollection]
"""What was recalled, by the id of the attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """Briefs attempts from a bank; without a single active item it does nothing at all."""

    bank: Bank
    open_shelf: Callable[[], Shelf]  # called when there is something on it: embedding takes 8 s
    strategy: str
    taste: Taste
    space: Space
    share_left_out: float  # of the recalls of train tasks
    clock: Callable[[], datetime]

    def brief(self, attempts: Iterable[Attempt], told: Told) -> Iterator[Attempt]:
        """Yield the attempts with their briefings, and note in `told` what was recalled."""
        if not self.bank.count(standing=Standing.ACTIVE):
            yield from attempts
            return
        shelf, worth = self.open_shelf(), self._worth()
        for attempt in attempts:
            recollection = self._recall(attempt, shelf, worth)
            told[attempt.id] = recollection
            yield replace(attempt, briefing=recollection.briefing)

    def note(self, episode: Episode, recollection: Recollection) -> None:
        """Keep what was recalled for an episode, unless it was resumed with another briefing."""
        if episode.briefing == recollection.briefing:
            self.bank.log_uses([self._use(episode, choice) for choice in recollection.choices])

    def _recall(self, attempt: Attempt, shelf: Shelf, worth: Worth) -> Recollection:
        look = shelf.near if self.strategy == "worth" else shelf.everything
        by_lot = attempt.task.split is Split.TRAIN  # an exam is taken with all that is known
        return recall(
            attempt.task.kind,
            look(attempt.task.goal, worth),
            strategy=self.strategy,
            taste=self.taste,
            space=self.space,
            lot=Lot(
                share=self.share_left_out if by_lot else 0.0, seed=derive(attempt.seed, "left out")
            ),
        )

    def _worth(self) -> Worth:
        """Return the smoothed share solved with each item, for those that were ever shown."""
        items = self.bank.items(standing=Standing.ACTIVE)
        earned = {item.id: credit(item.id, self.bank.uses(item.id)) for item in items}
        return {id: each.smoothed for id, each in earned.items() if each.uses}

    def _use(self, episode: Episode, choice: Choice) -> Recalled:
        return Recalled(
            item=choice.item.id,
            version=choice.item.version,
            episode=episode.id,
            run=episode.run,
            shown=choice.shown,
            propensity=choice.propensity,
            at=self.clock(),
        )
