"""How every audit goes: announced, begun, carried on where it was, reported, and kept.

An audit is what it costs and what it finds; all else is the same for all of them and stands here.
"""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from agent.critics.judge import ROOM, Judge
from agent.policy import Policy
from apprentice.audits.answers import Answers
from apprentice.audits.cost import Announced, Cost, Spent, announce
from apprentice.build import make_policy, make_store, now
from apprentice.findings.past import PAST, past_policies
from apprentice.findings.place import AuditError, Begun, Place
from apprentice.findings.progress import counting
from apprentice.findings.report import Findings, Made, Report
from apprentice.findings.sample import Wanted, collect, load, name_of, play_all
from apprentice.settings.acting import BASE, LOCAL, Named
from apprentice.settings.config import Config
from environments.episode import Episode

Chosen = TypeVar("Chosen")

Groups = tuple[tuple[Episode, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an audit has to work with: its settings, its folder, and a count of what it took."""

    config: Config
    place: Place
    make: Callable[[Config], Policy] = make_policy
    spent: Spent = field(default_factory=Spent)

    def attempts(self, config: Config, wanted: Wanted) -> Groups:
        """Return the attempts that are wanted; those that are not stored are played first."""
        with make_store(config) as store:
            sample = collect(config, wanted, store)
            if sample.missing:
                began = time.monotonic()
                play_all(config, sample.missing, self.place.folder.name)
                self.spent.episodes += len(sample.missing)
                self.spent.episode_s += time.monotonic() - began
                sample = collect(config, wanted, store)
            return load(store, sample)

    @asynccontextmanager
    async def judge(self, use: str, calls: int) -> AsyncGenerator[Judge]:
        """Open a judge whose answers are kept, and show how many of these calls are answered."""
        config = judging(self.config, use)
        answers = Answers(self.make(config), self.place.answers, time.monotonic)
        async with answers:
            with counting("answers", calls) as seen:
                answers.watch = seen
                yield Judge(
                    answers,
                    votes=votes_of(config, use),
                    seed=config.seed,
                    room=room_of(config, use),
                )
        self.spent.calls += answers.asked
        self.spent.characters += answers.characters
        self.spent.call_s += answers.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(Generic[Chosen]):
    """One kind of audit."""

    name: str
    options: type[Chosen]
    cost: Callable[[Config, Chosen], Cost]
    examine: Callable[[Work, Chosen], Findings]
    judge: Callable[[Config, Chosen], str] | None = None  # the setting of who answers; None: nobody
    notes: Sequence[str] = ()  # what a reader must know to read it rightly


def foretell(audit: Audit[Chosen], config: Config, options: Chosen) -> Announced:
    """Return what an audit will take."""
    judge = audit.judge(config, options) if audit.judge is not None else ""
    with make_store(config) as store:
        return announce(config, audit.cost(config, options), judge and name_of(judge), store)


def carry_out(audit: Audit[Chosen], work: Work, options: Chosen) -> Report:
    """Do what is left of an audit, and return its report; its folder keeps it."""
    from apprentice.findings.place import keep

    announced = foretell(audit, work.config, options)
    with work.place.held():
        found = audit.examine(work, options)
        begun = work.place.begun
        made = Made(
            audit=audit.name,
            id=begun.id,
            command=begun.command,
            settings=begun.settings,
            at=now(),
            models=found.models,
            seed=work.config.seed,
            samples=found.samples,
            cost=work.spent.told(announced),
        )
        report = Report(made, found, tuple(audit.notes))
        keep(report, work.place.folder)
    return report


def judging(config: Config, use: str) -> Config:
    """Return the settings under which a model judges.

    A model in this process is asked at temperature 1, at which the chance of a yes is its own; one
    elsewhere votes, and would give one vote if it were cold.
    """
    local = Named.parse(use).kind == LOCAL
    temperature = 1.0 if local else config.critic.temperature
    actor = config.policy.model_copy(update={"use": use, "temperature": temperature})
    return config.model_copy(update={"policy": actor})


def votes_of(config: Config, use: str) -> int:
    """Return how often a judge is asked the same: one that tells logprobs, once."""
    return 1 if Named.parse(use).kind == LOCAL else config.critic.votes


def room_of(config: Config, use: str) -> int:
    """Return the characters of a record that a judge is shown: fewer in this process."""
    local = Named.parse(use).kind == LOCAL
    return min(ROOM, config.critic.room) if local else config.critic.room


def judge_or_self(config: Config, use: str) -> str:
    """Return who judges: who is named, the policy itself, or with `past` the one before it.

    Raises:
        AuditError: there was none before it.
    """
    if not use:
        return config.policy.use
    if use == PAST:
        before = past_policies(config)
        if not before:
            raise AuditError("no policy was promoted before this one; name a --judge")
        return before[-1]
    named = Named.parse(use)
    if named.kind == LOCAL and not named.adapter:
        return str(Named(LOCAL, named.model, BASE))
    return use


def option_values(options: object) -> dict[str, Any]:
    """Return options as JSON knows them, and as `read_options` reads them."""
    from pydantic import TypeAdapter

    return TypeAdapter(type(options)).dump_python(options, mode="json")


def read_options(audit: Audit[Chosen], begun: Begun) -> Chosen:
    """Return the options that an audit began with."""
    from pydantic import TypeAdapter

    return TypeAdapter(audit.options).validate_python(dict(begun.options))
