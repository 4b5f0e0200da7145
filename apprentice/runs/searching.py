"""Attempts that are searched before they are acted: how a run is told to, and what it keeps of it.

Beside the episode of each search stands its tree, as a file of the home: it is looked at, never
learned from, and may be deleted.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.search.attempts import searched
from agent.search.calibration import Calibration, Evidence, calibrated, evidence
from agent.search.critics import WORLD_ALONE, Aspect, Critics, Estimate, Weighed
from agent.search.harvest import searcher
from agent.search.record import Searched, from_json, record, to_json
from agent.search.search import Search
from agent.search.settings import SearchSettings
from agent.search.tree import Branch
from agent.search.walk import Scene, Spent
from apprentice.settings.acting import ADAPTERS
from environments.errors import UserError
from environments.transcript import transcript

if TYPE_CHECKING:
    from agent.attempt import Attempt, Limits
    from agent.policy import Policy
    from apprentice.settings.config import Config
    from environments.environment import Environment
    from environments.episode import Episode

TREES = "trees"
"""The folder of trees in the home."""

REMEMBERED = 100
"""Searches from which it is told what a critic's scores mean."""


Listener = Callable[[Search, str, datetime], None]
"""(a search that ended, who proposed, when) -> nothing"""


class NoTreeError(UserError, LookupError):
    """No tree was kept of an episode."""


@dataclass(slots=True)
class Searching:
    """How a run searches, and what its searches cost."""

    settings: SearchSettings
    trees: Path
    critics: Critics = field(default_factory=lambda: WORLD_ALONE)
    spent: Spent = field(default_factory=Spent)
    searches: int = 0
    said: dict[Aspect, list[tuple[float, float]]] = field(
        default_factory=lambda: {Aspect.VALUE: [], Aspect.PROCESS: []}
    )
    """The scores of those who may err, each with the share of what followed that succeeded."""
    listener: Listener | None = None  # None: nobody learns from the searches
    asks_value: bool = False  # whether the value head kept beside the adapter is asked, if any

    async def attempts(
        self,
        policy: "Policy",
        environment: "Environment",
        attempts: "Iterable[Attempt]",
        *,
        limits: "Limits",
        clock: Callable[[], datetime],
        width: int,
    ) -> "AsyncGenerator[Episode]":
        """Yield the episode of each attempt, and keep its tree."""
        critics = self.critics
        if self.asks_value:
            critics = {**critics, **_value(policy, environment, self.trees)}
        scene = Scene(
            environment=environment,
            policy=policy,
            fast=policy,
            critics=critics,
            limits=limits,
        )

        def ended(search: Search) -> None:
            self.keep(search)
            if self.listener is not None:
                self.listener(search, policy.name, clock())

        found = searched(
            scene,
            attempts,
            settings=self.settings,
            clock=clock,
            concurrency=max(1, width // self.settings.at_once),
            on_search=ended,
        )
        try:
            async for episode in found:
                yield episode
        finally:
            await found.aclose()

    def name(self, policy: str) -> str:
        """Return the name under which a policy acts that searches so."""
        return searcher(policy, self.settings.budget)

    def keep(self, search: Search) -> None:
        """Write down a search, and add up what it cost."""
        kept = record(search)
        self.trees.mkdir(parents=True, exist_ok=True)
        (self.trees / f"{kept.episode}.json").write_bytes(to_json(kept))
        self.spent.add(kept.spent)
        self.searches += 1
        for aspect, said in self.said.items():
            said += kept.opinions.get(aspect, ())

    def to_json(self) -> Mapping[str, Any]:
        """Return what the searches cost, as JSON knows it."""
        return {
            "searches": self.searches,
            "budget": self.settings.budget,
            "simulated_steps": self.spent.steps,
            "turns": self.spent.turns,
            "prompt_tokens": self.spent.prompt_tokens,
            "completion_tokens": self.spent.completion_tokens,
            "calibration": {
                each.critic: {"opinions": each.opinions, "error": each.error}
                for each in self.calibrations
            },
        }

    @property
    def calibrations(self) -> Sequence[Calibration]:
        """Return how far those who may err were from what came of it."""
        return [calibrated(aspect, said) for aspect, said in self.said.items() if said]

    @property
    def sentence(self) -> str:
        """Return what the searches cost, for a person."""
        each = self.spent.steps / max(self.searches, 1)
        tokens = self.spent.prompt_tokens + self.spent.completion_tokens
        off = "".join(
            f"; the {told.critic} critic was off by {told.error:.2f} on {told.opinions:,} moments"
            for told in self.calibrations
        )
        return (
            f"searched {self.searches} attempts: {self.spent.steps:,} simulated steps "
            f"({each:.0f} each, at most {self.settings.budget}), {self.spent.turns:,} turns of "
            f"the policy, {tokens:,} tokens{off}"
        )


def sampling(config: "Config") -> "Config":
    """Return the settings with a policy that samples, if it proposes: one answer is no tree."""
    if not config.search.budget or config.policy.temperature:
        return config
    actor = config.policy.model_copy(update={"temperature": config.search.temperature})
    return config.model_copy(update={"policy": actor})


def acting_as(config: "Config") -> str:
    """Return the policy of a run as it is written down: what searches first is another one."""
    named = config.policy.use
    return searcher(named, config.search.budget) if config.search.budget else named


def read_tree(trees: Path, episode: str) -> Searched:
    """Return the tree that was kept of an episode.

    Raises:
        NoTreeError: none was.
    """
    file = trees / f"{episode}.json"
    if not file.exists():
        raise NoTreeError(
            f"no tree of episode {episode} is kept; only attempts of a run with --search have one"
        )
    return from_json(file.read_bytes())


def head_file(home: Path, adapter: str) -> Path:
    """Return where the value head of an adapter is kept: beside it, for adapters never change."""
    return home / ADAPTERS / f"{adapter}.value.safetensors"


def told_so_far(trees: Path, aspect: Aspect, critic: str) -> Evidence | None:
    """Return what the scores of a critic have told in the newest searches; None: too little."""
    newest = sorted(trees.glob("*.json"), key=lambda file: file.stat().st_mtime)[-REMEMBERED:]
    searches = [from_json(file.read_bytes()) for file in newest]
    theirs = [each for each in searches if each.critics.get(aspect) == critic]
    return evidence([said for each in theirs for said in each.opinions.get(aspect, ())])


def _value(policy: "Policy", environment: "Environment", trees: Path) -> Critics:
    """Return the value critic of a local policy; nobody, where its adapter has no head."""
    file = head_file(trees.parent, policy.name.rpartition("@")[2])
    if not file.exists():
        return {}
    from distill.engine.engine import LocalPolicy
    from distill.models.value import Features, ValueHead

    assert isinstance(policy, LocalPolicy)
    head, features = ValueHead.load(file), Features(policy.model, policy.renderer)

    async def chances(branches: Sequence[Branch]) -> Sequence[float]:
        seen = (
            transcript(environment.instructions, "", each.steps, each.closing) for each in branches
        )
        return head(features.of(list(seen))).tolist()

    known = told_so_far(trees, Aspect.VALUE, file.stem)
    return {Aspect.VALUE: Weighed(Estimate(file.stem, chances), evidence=known)}


def lines_of(searched: Searched) -> Sequence[str]:
    """Return in words why a search ended and what it cost."""
    spent = searched.spent
    tokens = spent.prompt_tokens + spent.completion_tokens
    return (
        f"{len(searched.twigs)} moments; it ended because {searched.why}",
        f"{spent.steps:,} of {searched.settings.budget:,} simulated steps, "
        f"{spent.turns:,} turns of the policy, {tokens:,} tokens",
    )
