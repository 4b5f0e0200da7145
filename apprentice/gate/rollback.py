"""Does the promoted policy keep what its exam promised? If surely not, the one before acts again.

A running comparison of the episodes of everyday runs with those of the exam: it may be looked at
after each of them, and a policy as good as in its exam is withdrawn by it with a small, stated
chance, ever. A fall that begins long after the exam is noticed late: weights do not change, so what
changed then is the world, and who acted before would meet the same one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from apprentice.gate.promises import Promise, conditions, read_promise, write_promise
from apprentice.settings.acting import ADAPTERS, LEARNERS, Named
from apprentice.settings.config import Config
from apprentice.settings.freezing import StaleSettingsError, thaw
from environments.episode import Ending
from memory.proof.fall import Tally, fallen
from memory.proof.proof import Outcome
from memory.store.records import Run
from memory.store.store import Store

RUNS = 500
"""Newest runs that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """How a promoted policy did since, under the conditions of its exam."""

    adapter: str
    solved: int
    failed: int
    promised: float  # the share solved in its exam
    evidence: float  # that it solves fewer now; an e-value
    limit: float  # from which on it is withdrawn

    @property
    def broken(self) -> bool:
        """Whether the promise is surely broken."""
        return self.evidence >= self.limit

    @property
    def sentence(self) -> str:
        return (
            f"{self.adapter} solved {self.solved} of {self.solved + self.failed} since its exam, "
            f"{self.promised:.0%} in it; evidence of a fall {self.evidence:.3g} of {self.limit:.0f}"
        )


def held_to(promise: Promise, outcomes: Iterable[bool], level: float) -> Production:
    """Return how a policy did since its exam.

    Args:
        promise: of its exam.
        outcomes: of its episodes since, whether each was solved; the order does not matter.
        level: chance with which a policy that solves as much as in its exam is ever withdrawn.
    """
    seen = list(outcomes)
    solved = sum(seen)
    failed = len(seen) - solved
    exam = Tally(promise.solved, promise.tasks - promise.solved)
    return Production(
        adapter=promise.adapter,
        solved=solved,
        failed=failed,
        promised=promise.solved / promise.tasks if promise.tasks else 0.0,
        evidence=float(fallen(solved, failed, exam)),
        limit=1 / level,
    )


def watch_over(config: Config, store: Store) -> Production | None:
    """Hold the promoted adapter to its promise, and withdraw it if that is surely broken.

    Args:
        config: where things are, and the level.
        store: the episodes.

    Returns:
        How it did; None: none acts that was promoted by an exam, or nobody wants it watched.
    """
    from distill.models.adapters import Adapters

    adapters = Adapters(config.home / ADAPTERS)
    current = adapters.current()
    promise = read_promise(config, current) if current and config.gate.rollback else None
    if current is None or promise is None or promise.outcome is not Outcome.PROMOTE:
        return None
    found = held_to(promise, _outcomes(config, store, promise), config.gate.rollback)
    if found.broken:
        adapters.roll_back()
        write_promise(config, replace(promise, withdrawn=found.sentence))
    return found


def _outcomes(config: Config, store: Store, promise: Promise) -> Iterable[bool]:
    """Yield how its episodes ended in runs under the conditions of its exam, since then."""
    for run in store.runs(RUNS):
        named = Named.parse(run.policy)
        own = named.kind in LEARNERS and named.adapter == promise.adapter
        if not own or run.started < promise.judged:
            continue
        if _conditions(run, config) != promise.conditions:
            continue
        for row in store.rows(run=run.id, limit=run.episodes):
            if row.ending is not Ending.BROKEN:
                yield row.ending is Ending.SOLVED


def _conditions(run: Run, config: Config) -> str | None:
    """Return the conditions of a run; None: another version's, which were not those of the exam."""
    try:
        return conditions(thaw(run.settings, config))
    except StaleSettingsError:
        return None
