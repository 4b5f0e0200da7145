"""From finished episodes to what memory may keep of them.

What was solved is kept as it was done, and what was not as advice; the two are processed apart on
purpose (raw trajectories in the place of abstracted skills cost SkillRL 28 points on ALFWorld,
arXiv:2602.08234). A broken episode teaches nothing, and one of a held-out task is an error.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agent.critics.case import Case
from agent.critics.critic import Criticism
from agent.critics.inducer import word
from agent.critics.scrutiny import Advice
from agent.critics.tagging import Tagging
from agent.endpoints.structured import Writer
from environments.anchor import Anchor
from environments.environment import Environment
from environments.episode import Ending, Episode, Split
from environments.errors import UnknownNameError
from memory.bank.bank import Bank
from memory.knowledge.admission import Outcome, decide
from memory.knowledge.items import Critique, Demonstration, HeldOutError, Item, Lesson, Source
from memory.making.abstract import abstracted, situation
from memory.making.alike import Alike
from memory.making.hindsight import retold
from memory.making.induce import induce
from memory.making.prune import prune

MOST_SIBLINGS = 4
"""Other attempts at a task that one is held against, those that solved it shortest first. Each is a
source of what comes of it, and forgetting it costs a revision."""


class Skipped(StrEnum):
    """Why nothing was made of an episode, or not all that might have been."""

    BROKEN = "broken: it teaches nothing"
    KNOWN = "absorbed before"
    NO_CRITIC = "not solved, and there is no critic to ask"
    UNBELIEVED = "nothing that the critic said was believed"
    NO_LESSON = "criticized, but no lesson came of it"
    JUST_LONG = "truncated without a wasted step: it may only have been long"


class Judging(Protocol):
    """Who says why an attempt went as it went."""

    async def criticize(self, case: Case, made: datetime) -> Criticism: ...

    async def tag(self, episode: Episode, items: Sequence[Item]) -> Tagging: ...


@dataclass(frozen=True, kw_only=True)
class Absorber:
    """All that absorbing needs."""

    bank: Bank
    alike: Alike  # the stored items that may say the same
    clock: Callable[[], datetime]
    environment: Environment | None = None  # None: what is pruned cannot be proven
    critic: Judging | None = None  # None: only solved episodes teach
    past: tuple[str, ...] = ()  # names of policies that acted before; one of them may be the critic
    hindsight: bool = False  # whether an unsolved attempt is a demonstration of what it did solve


@dataclass(kw_only=True)
class Absorbed:
    """What became of the episodes: the items that hold what was learned now, each once."""

    critiques: list[Critique] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)  # by id
    unchanged: set[str] = field(default_factory=set)  # ids of those of them that held it before
    skipped: Counter[Skipped] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)  # of what the critic said
    unworded: Counter[str] = field(default_factory=Counter)  # why a namer's words were dropped
    tagged: int = 0  # items of which the critic said whether they helped


async def absorb(episodes: Iterable[Episode], by: Absorber) -> Absorbed:
    """Learn from stored episodes; those absorbed before are passed over.

    Each memory is stored as soon as it is made, so whoever is killed calls again with the same
    episodes. Of attempts at one task the solved ones come first, and the others are held against
    them.

    Raises:
        HeldOutError: an episode is of a task kept for the exam; nothing was stored.
        UserError: the critic cannot answer, and someone can mend that.
    """
    attempts: dict[str, list[Episode]] = {}
    for episode in list(episodes):
        if episode.task.split is not Split.TRAIN:
            raise HeldOutError(f"episode {episode.id} is of a {episode.task.split} task")
        attempts.setdefault(episode.task.id, []).append(episode)
    report = Absorbed()
    for group in attempts.values():
        await _absorb_task(group, by, report)
    return report


async def absorb_skills(
    by: Absorber, *, environment: str, namer: Writer | None = None, seed: int = 0
) -> Absorbed:
    """Induce skills from all demonstrations of a world that the bank holds.

    Args:
        by: what absorbing needs.
        environment: the name of the world.
        namer: words the name and the purpose of a new one; None: they are made of its verbs.
        seed: all the randomness of the namer.
    """
    found = by.bank.items(environment=environment, type=Demonstration)
    report = Absorbed()
    demonstrations = [each for each in found if isinstance(each, Demonstration)]
    for skill in induce(demonstrations, made=by.clock()):
        similar = by.alike(skill)
        decision = decide(skill, similar)
        if namer is not None and decision.outcome is not Outcome.MERGE:
            skill = await word(skill, namer, seed=seed, rejections=report.unworded)
        kept = by.bank.settle(skill, decision)
        report.items[kept.id] = kept
        if any(kept == each for each, _ in similar):
            report.unchanged.add(kept.id)
    return report


def demonstrate(episode: Episode, environment: Environment | None, made: datetime) -> Demonstration:
    """Return a solved episode as a demonstration, with numbers in its moves and nowhere else."""
    pruned = prune(episode, environment if _knows(environment, episode) else None)
    return Demonstration(
        environment=episode.task.environment,
        kind=episode.task.kind,
        task=episode.task.id,
        goal=abstracted(episode.task.goal),
        situation=situation(episode.steps[0].observation, episode.task.goal),
        moves=pruned.moves,
        replayed=pruned.replayed,
        source=Source.of(episode, anchor=Anchor.ENVIRONMENT, made=made),
    )


def _knows(environment: Environment | None, episode: Episode) -> bool:
    """Return whether an episode can be played again: one of someone else's world cannot."""
    if environment is None:
        return False
    try:
        environment.task(episode.task.id)
    except UnknownNameError:
        return False
    return True


def lesson_of(episode: Episode, advice: Advice, critique: Critique) -> Lesson:
    """Return the advice that a critique gave as a lesson for its kind of task."""
    return Lesson(
        environment=episode.task.environment,
        kind=episode.task.kind,
        when=advice.when,
        fault=advice.fault,
        why=advice.why,
        instead=advice.instead,
        unless=advice.unless,
        critique=critique.id,
        source=critique.source,
    )


async def _absorb_task(group: Sequence[Episode], by: Absorber, report: Absorbed) -> None:
    whole = [episode for episode in group if episode.ending is not Ending.BROKEN]
    report.skipped[Skipped.BROKEN] += len(group) - len(whole)
    new = [episode for episode in whole if not _known(episode, by.bank)]
    report.skipped[Skipped.KNOWN] += len(whole) - len(new)
    for episode in new:
        if episode.solved:
            _settle(demonstrate(episode, by.environment, by.clock()), by, report)
    for episode in new:
        if not episode.solved:
            _look_back(episode, by, report)
            await _learn(_case(episode, whole, by), by, report)


def _look_back(episode: Episode, by: Absorber, report: Absorbed) -> None:
    """Store what an unsolved episode solved without being asked to."""
    if by.environment is None or not by.hindsight:
        return
    held = {each.task for each in by.bank.derived(episode.id) if isinstance(each, Demonstration)}
    for told in retold(episode, by.environment):
        if told.task.id not in held:
            shown = demonstrate(told, by.environment, by.clock())
            source = replace(shown.source, episodes=(episode.id,))
            _settle(replace(shown, source=source), by, report)


async def _learn(case: Case, by: Absorber, report: Absorbed) -> None:
    """Store what the critic says of an unsolved episode.

    A truncated one has not failed: it is criticized for the steps that it wasted, and where it
    wasted none its lesson would only be that the task is long.
    """
    if by.critic is None:
        report.skipped[Skipped.NO_CRITIC] += 1
        return
    if case.episode.ending is Ending.TRUNCATED and not case.evidence.wasted:
        report.skipped[Skipped.JUST_LONG] += 1
        return
    heard = await by.critic.criticize(case, by.clock())
    report.rejections += heard.rejections
    if heard.critique is None:
        report.skipped[Skipped.UNBELIEVED] += 1
        return
    told = _told(case.episode, by.bank)
    tagging = await by.critic.tag(case.episode, told) if told else Tagging()
    report.rejections += tagging.rejections
    report.tagged += len(tagging.tags)
    lesson = None
    if heard.advice is None:
        report.skipped[Skipped.NO_LESSON] += 1
    else:
        new = lesson_of(case.episode, heard.advice, heard.critique)
        lesson = new, decide(new, by.alike(new))
    critique, kept = by.bank.learn(heard.critique, lesson, tagging.tags)
    report.critiques.append(critique)
    if kept is not None:
        report.items[kept.id] = kept


def _told(episode: Episode, bank: Bank) -> list[Item]:
    """Return the items that were shown before an attempt and are still in memory."""
    return bank.some({use.item for use in bank.recalled(episode.id) if use.shown})


def _case(episode: Episode, group: Sequence[Episode], by: Absorber) -> Case:
    world = by.environment
    others = [other for other in group if other.id != episode.id]
    others.sort(key=lambda other: (not other.solved, len(other.steps)))
    return Case(
        episode=episode,
        instructions=world.instructions if world else "",
        siblings=tuple(others[:MOST_SIBLINGS]),
        demonstrations=_shown(episode, group, by.bank),
        gold=(world.gold(episode.task) if world and _knows(world, episode) else None) or (),
        past=by.past,
    )


def _shown(episode: Episode, group: Sequence[Episode], bank: Bank) -> tuple[Demonstration, ...]:
    """Return the demonstrations of the task by others than the attempts at hand."""
    task = episode.task
    at_hand = {other.id for other in group}
    found = bank.items(environment=task.environment, kind=task.kind, type=Demonstration)
    return tuple(
        each
        for each in found
        if isinstance(each, Demonstration)
        and each.task == task.id
        and at_hand.isdisjoint(each.source.episodes)
    )


def _known(episode: Episode, bank: Bank) -> bool:
    """Whether the bank holds what this episode taught."""
    if not episode.solved:
        return bool(bank.critiques(episode.id))
    return any(isinstance(each, Demonstration) for each in bank.derived(episode.id))


def _settle(item: Item, by: Absorber, report: Absorbed) -> None:
    kept = by.bank.settle(item, decide(item, by.alike(item)))
    report.items[kept.id] = kept
