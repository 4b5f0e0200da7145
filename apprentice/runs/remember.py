"""What memory says before each attempt of a run, and the note of it beside its episode."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from agent.attempt import Attempt
from environments.episode import Episode, Split, Task
from environments.seed import derive
from memory.bank.bank import Bank
from memory.knowledge.items import Item, Recalled, Standing
from memory.proof.credit import smoothed
from memory.recall.candidates import Shelf
from memory.recall.recall import Candidate, Choice, Lot, Recollection, Space, Taste, recall

AGAIN_AFTER = 16
"""Attempts after which it is looked what others have stored, activated or retired meanwhile: some
0.3 s at 10^5 items, for minutes of play."""

Worth: TypeAlias = dict[str, float]
Told: TypeAlias = dict[str, Recollection]
"""What was recalled, by the id of the attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """Briefs attempts from a bank; without a single active item it does nothing at all."""

    bank: Bank
    open_shelf: Callable[[], Shelf]  # called when there is something on it; the same each time
    strategy: str
    taste: Taste
    space: Space
    share_left_out: float  # of the recalls of train tasks
    clock: Callable[[], datetime]

    def brief(self, attempts: Iterable[Attempt], told: Told) -> Iterator[Attempt]:
        """Yield the attempts with their briefings, and note in `told` what was recalled."""
        for attempt, recollection in self._recollected(attempts, self.share_left_out):
            if recollection is None:
                yield attempt
            else:
                told[attempt.id] = recollection
                yield replace(attempt, briefing=recollection.briefing)

    def shown(self, attempts: Iterable[Attempt]) -> list[tuple[Item, ...]]:
        """Return what each attempt would be shown if nothing were left out by lot."""
        return [
            () if found is None else tuple(choice.item for choice in found.shown)
            for _, found in self._recollected(attempts, 0.0)
        ]

    def note(self, episode: Episode, recollection: Recollection) -> None:
        """Keep what was recalled for an episode, unless it was resumed with another briefing."""
        if episode.briefing == recollection.briefing:
            self.bank.log_uses([self._use(episode, choice) for choice in recollection.choices])

    def _recollected(
        self, attempts: Iterable[Attempt], share: float
    ) -> Iterator[tuple[Attempt, Recollection | None]]:
        """Yield each attempt with what is recalled for it; None: nothing is active."""
        shelf: Shelf | None = None
        worth: Worth = {}
        for place, attempt in enumerate(attempts):
            if place % AGAIN_AFTER == 0:
                shelf, worth = self._fresh_shelf(), self._worth()
            found = self._recall(attempt, shelf, worth, share) if shelf else None
            yield attempt, found

    def _fresh_shelf(self) -> Shelf | None:
        """Return the shelf with all that is stored now; None: nothing is active."""
        if not self.bank.count(standing=Standing.ACTIVE):
            return None
        shelf = self.open_shelf()
        shelf.refresh()
        return shelf

    def _recall(self, attempt: Attempt, shelf: Shelf, worth: Worth, share: float) -> Recollection:
        task = attempt.task
        by_lot = task.split is Split.TRAIN  # an exam is taken with all that is known
        return recall(
            task.kind,
            self._looked_up(task, shelf, worth),
            strategy=self.strategy,
            taste=self.taste,
            space=self.space,
            lot=Lot(share=share if by_lot else 0.0, seed=derive(attempt.seed, "left out")),
        )

    def _looked_up(self, task: Task, shelf: Shelf, worth: Worth) -> list[Candidate]:
        if self.strategy == "worth":
            return shelf.near(task.kind, task.goal, worth)
        return shelf.everything(task.goal, worth)

    def _worth(self) -> Worth:
        """Return the smoothed share solved with each item, for those that were ever shown."""
        return {id: smoothed(*counts) for id, counts in self.bank.outcomes().items()}

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
