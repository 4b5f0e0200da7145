"""Does the promoted policy keep what its exam promised? If surely not, the one before acts again.

A running comparison over the episodes of everyday runs: it may be looked at after each of them, and
a policy as good as its exam said is withdrawn by it with a small, stated chance, ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from apprentice.acting import ADAPTERS, LOCAL, Named
from apprentice.config import Config, thaw
from apprentice.promises import Promise, conditions, read_promise, write_promise
from environments.episode import Ending
from memory.proof import Outcome
from memory.sequential import evidence
from memory.store import Store

RUNS = 500
"""Newest runs that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """How a promoted policy did since, under the conditions of its exam."""

    adapter: str
    solved: int
    failed: int
    promised: float  # the least share solved that the exam said, with 97.5 % confidence
    evidence: float  # that it solves fewer; an e-value
    limit: float  # from which on it is withdrawn

    @property
    def broken(self) -> bool:
        """Whether the promise is surely broken."""
        return self.evidence >= self.limit

    @property
    def sentence(self) -> str:
        return (
            f"{self.adapter} solved {self.solved} of {self.solved + self.failed} since its exam "
            f"promised at least {self.promised:.0%}; evidence against it {self.evidence:.3g} "
            f"of {self.limit:.0f}"
        )


def held_to(promise: Promise, outcomes: Iterable[bool], level: float) -> Production:
    """Return how a policy did since its exam.

    Args:
        promise: of its exam.
        outcomes: of its episodes since, whether each was solved; the order does not matter.
        level: chance with which a policy that solves what was promised is ever withdrawn.
    """
    seen = list(outcomes)
    solved = sum(seen)
    failed = len(seen) - solved
    allowed = 1 - promise.low  # of failures
    return Production(
        adapter=promise.adapter,
        solved=solved,
        failed=failed,
        promised=promise.low,
        evidence=float(evidence(failed, solved, null=allowed)) if 0 < allowed < 1 else 1.0,
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
    from distill.adapters import Adapters

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
        own = named.kind == LOCAL and named.adapter == promise.adapter
        if not own or run.started < promise.judged:
            continue
        if conditions(thaw(run.settings, config)) != promise.conditions:
            continue
        for row in store.rows(run=run.id, limit=run.episodes):
            if row.ending is not Ending.BROKEN:
                yield row.ending is Ending.SOLVED
