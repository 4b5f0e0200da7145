"""What searches left, learned: ways imitated, steps preferred, moments valued. One adapter of it.

First the ways found are imitated; what that makes is the reference of the preferences, as in the
paper of the objective, and the features of what both made are what values are read off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

from apprentice.build import now
from apprentice.distilling.distilling import open_encoder, open_training
from apprentice.runs.searching import head_file
from apprentice.settings.acting import BASE, LOCAL, Named, find_acting
from apprentice.settings.orders import Report, write_report
from distill.models.adapters import Lineage, weights_digest
from distill.models.models import resolve
from distill.models.trained import Trained
from distill.models.value import Features, ValueHead
from distill.objectives.preference import prefer
from distill.objectives.presets import PRESETS
from distill.teaching.curriculum import dealt, demonstrated
from distill.teaching.excursions import Detours, rehearsed
from distill.teaching.preferences import Pair, works
from distill.training.study import Bounds, study
from distill.training.train import Pace, Training, train
from environments.seed import derive
from environments.transcript import transcript

if TYPE_CHECKING:
    from agent.search.harvest import Target
    from apprentice.distilling.gleaning import Gleaned
    from apprentice.settings.acting import Acting
    from apprentice.settings.config import Config
    from apprentice.settings.orders import Library
    from distill.models.student import Student
    from distill.sequences.collate import Chosen
    from distill.sequences.encode import Encoder
    from memory.knowledge.items import Demonstration

STEM = "searched-"
"""How the adapters are called, with a number."""

SEARCH = "search"
"""The objective in their lineage: imitation of ways found, then preferences between steps."""

COLD = "cold-start"

RATES = {Trained.FULL: 1e-5, Trained.LORA: 1e-4}
"""Learning rates of preferences. Ten times as much: the likelihood of both sides falls (Rafailov et
al. train with 1e-6 on models fifty times as large)."""

PER_STEP = 1
"""Preferences of one optimizer step: both sides must be computed together, and each is long."""

MOST_MOMENTS = 512
"""Moments that a value head is fitted to: about as many as the default model has dimensions."""

FEWEST_MOMENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to learn, and the attempts that it was found at."""

    shown: Sequence[Demonstration]
    gleaned: Gleaned
    attempts: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        return not self.shown and not self.gleaned.preferred


def learn(config: Config, found: Found, library: Library, *, clock: Callable[[], float]) -> Report:
    """Learn what was found, keep the adapter and its value head, and return the report.

    Args:
        config: how to learn, and who: the policy.
        found: what.
        library: where the adapter is kept.
        clock: seconds, from any origin.
    """
    limits = config.distill.model_copy(update={"preset": COLD})
    config = config.model_copy(update={"distill": limits})
    acting, name = find_acting(config, Named.parse(config.policy.use)), _free_name(library)
    encoder, began = open_encoder(config, library.environment, acting), clock()
    steps = _rehearsals(config, found.shown, library)
    training, tokenizer = open_training(config, acting, steps=len(steps))
    minutes = limits.minutes
    bounds = Bounds(seconds=None if minutes is None else 60 * minutes, tokens=limits.tokens)
    done = study(training, encoder, steps, PRESETS[COLD], clock=clock, bounds=bounds)
    preferred = _prefer(config, training.student, encoder, found.gleaned)
    library.adapters.add(training.student, tokenizer, _lineage(config, acting, name, found))
    valued = _value(config, training.student, encoder, found.gleaned.targets, name)
    report = Report(
        name=name,
        base=acting.model,
        parent=None if acting.adapter == BASE else acting.adapter,
        preset=SEARCH,
        attempts=len(found.attempts),
        critiques=0,
        demonstrations=len(found.shown),
        walkthroughs=0,
        steps=done.outcome.steps + preferred,
        samples=done.samples + 2 * PER_STEP * preferred,
        tokens=done.tokens,
        dropped={reason.value: many for reason, many in done.dropped.items() if many},
        remarks=(f"{preferred} preferences between steps", f"a value head of {valued} moments"),
        alarm=done.outcome.alarm,
        spent=done.spent,
        kept=True,
        seconds=clock() - began,
        money=0.0,
    )
    write_report(library, report)
    return report


def policy_of(report: Report) -> str:
    """Return the setting that names what was learned."""
    return str(Named(LOCAL, report.base, report.name))


def _rehearsals(
    config: Config, shown: Sequence[Demonstration], library: Library
) -> list[tuple[Chosen, ...]]:
    """Return the steps that imitate each way, with fresh detours in every pass."""
    limits, rng = config.distill, Random(derive(config.seed, SEARCH))
    plans = [
        (library.environment.task(item.task), tuple(move.action for move in item.moves))
        for item in shown
    ]
    steps: list[tuple[Chosen, ...]] = []
    for _ in range(limits.passes):
        readings = rehearsed(library.environment, plans, detours=Detours(), rng=rng, now=now())
        steps += dealt(demonstrated(readings), limits.per_step, rng)
    return steps


def _prefer(config: Config, student: Student, encoder: Encoder, gleaned: Gleaned) -> int:
    """Learn the preferences, and return how many could be read."""
    limits = config.distill
    pairs = [
        Pair(name=f"{number}", better=each.better, worse=each.worse, shared=each.shared)
        for number, each in enumerate(gleaned.preferred)
    ]
    Random(derive(config.seed, "preferences")).shuffle(pairs)
    room = max(limits.part_tokens, 2 * limits.length)  # both sides at once
    rate = limits.rate or RATES[limits.trained]
    pace = Pace(rate=rate, until=len(pairs) + 1, part_tokens=room)
    told = works(student, encoder, pairs, student.copy(), per_step=PER_STEP, part_tokens=room)
    return train(Training(student, pace), told, prefer(), clock=lambda: 0.0).steps


def _value(
    config: Config, student: Student, encoder: Encoder, targets: Sequence[Target], name: str
) -> int:
    """Fit the value head to what was found beyond some moments, and return how many those are."""
    if len(targets) < FEWEST_MOMENTS:
        return 0
    drawn = Random(derive(config.seed, "moments")).sample(targets, min(len(targets), MOST_MOMENTS))
    seen = [
        transcript(encoder.instructions, "", each.episode.steps, each.episode.closing)
        for each in drawn
    ]
    features_BE = Features(student.model, encoder.renderer).of(seen)
    head = ValueHead.fit(features_BE, features_BE.new_tensor([each.value for each in drawn]))
    head.save(head_file(config.home, name))
    return len(drawn)


def _lineage(config: Config, acting: Acting, name: str, found: Found) -> Lineage:
    sources = chain.from_iterable(item.source.episodes for item in found.shown)
    return Lineage(
        name=name,
        base=acting.model,
        parent=None if acting.adapter == BASE else acting.adapter,
        trained=config.distill.trained,
        objective=SEARCH,
        episodes=tuple(dict.fromkeys((*sources, *found.attempts))),
        seed=config.seed,
        made=now(),
        digest=weights_digest(resolve(acting.model, config.cache)),
    )


def _free_name(library: Library) -> str:
    taken, number = set(library.adapters.names()), 1
    while f"{STEM}{number}" in taken:
        number += 1
    return f"{STEM}{number}"
