"""Two contenders at the same tasks: who solves more, and how sure that is.

Both play the same tasks in the same order with the same seed for each, so what differs is who acts.
Every answer is stored, and known by all that decides it: an exam that was killed goes on, and a
contender who sat it before need not sit it again.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby
from math import exp
from typing import TYPE_CHECKING

from agent.attempt import Attempt
from apprentice.build import make_environment, make_policy, make_rig
from apprentice.runs.runs import EmptySplitError, Rig, Watcher, play
from apprentice.settings.acting import settled
from apprentice.settings.config import Config
from apprentice.settings.freezing import acting_settings
from environments.episode import Episode, Split, Task
from environments.seed import derive
from memory.proof.intervals import Interval, mcnemar_different, paired, wilson
from memory.proof.proof import Pair

if TYPE_CHECKING:
    from agent.policy import Policy

MEMORY = "+memory"
"""Written after a contender who is briefed by memory."""

KEY_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one task."""

    task: str
    kind: str
    episode: str  # id
    solved: bool
    steps: int
    prompt_tokens: int
    confidence: float | None  # geometric mean of the chances of its actions; None: not recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A contender's answers, in the order of the tasks."""

    name: str
    answers: tuple[Answer, ...]

    @property
    def solved(self) -> int:
        return sum(each.solved for each in self.answers)

    @property
    def share(self) -> float:
        return self.solved / len(self.answers) if self.answers else 0.0

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval of the share."""
        return Interval(*wilson(self.share, len(self.answers)).tolist())

    @property
    def mean_steps(self) -> float:
        return self._mean(each.steps for each in self.answers)

    @property
    def prompt_tokens(self) -> float:
        """Return the mean over episodes."""
        return self._mean(each.prompt_tokens for each in self.answers)

    def _mean(self, values: Iterable[float]) -> float:
        return sum(values) / len(self.answers) if self.answers else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sheets of the same tasks."""

    a: Sheet
    b: Sheet

    def __post_init__(self) -> None:
        if [each.task for each in self.a.answers] != [each.task for each in self.b.answers]:
            raise ValueError(f"{self.a.name} and {self.b.name} did not play the same tasks")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return each task with who solved it; b is the candidate."""
        return tuple(
            Pair(task=a.task, incumbent=a.solved, candidate=b.solved)
            for a, b in zip(self.a.answers, self.b.answers, strict=True)
        )

    @property
    def wins(self) -> int:
        """Return how many tasks only b solved."""
        return sum(pair.candidate and not pair.incumbent for pair in self.pairs)

    @property
    def losses(self) -> int:
        """Return how many tasks only a solved."""
        return sum(pair.incumbent and not pair.candidate for pair in self.pairs)

    @property
    def difference(self) -> float:
        return self.b.share - self.a.share

    @property
    def interval(self) -> Interval:
        """Return the 95 % interval of the difference."""
        return Interval(*paired(self.wins, self.losses, len(self.pairs)).tolist())

    @property
    def p(self) -> float:
        """Return how often equals would differ as much: McNemar's exact test, two-sided."""
        return float(mcnemar_different(self.wins, self.losses))

    @property
    def kinds(self) -> tuple["Comparison", ...]:
        """Return the comparison of each task type by itself, in order of its name."""
        return tuple(
            Comparison(a=replace(self.a, answers=ours), b=replace(self.b, answers=theirs))
            for ours, theirs in zip(_by_kind(self.a), _by_kind(self.b), strict=True)
        )

    def joined(self, later: "Comparison") -> "Comparison":
        """Return this and what was played after it."""
        return Comparison(
            a=replace(self.a, answers=self.a.answers + later.a.answers),
            b=replace(self.b, answers=self.b.answers + later.b.answers),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A contender, ready to play."""

    name: str
    key: str  # of all that decides its answers but task, seed and briefing
    seed: int
    rig: Rig

    @property
    def run(self) -> str:
        """Return the name that its episodes have in common."""
        return f"exam-{self.key}"

    def attempts(self, tasks: Iterable[Task], tries: int = 1) -> list[Attempt]:
        """Return the attempts at these tasks, briefed; each known by all that decides it."""
        bare = [
            Attempt(
                id=f"{self.key}-{task.id}-{number}",
                task=task,
                seed=derive(self.seed, "exam", task.id, number),
                run=self.run,
            )
            for task in tasks
            for number in range(tries)
        ]
        reminder = self.rig.reminder
        briefed = bare if reminder is None else list(reminder.brief(bare, {}))
        return [
            replace(each, id=_digest(each.id, str(each.seed), each.briefing)) for each in briefed
        ]

    async def sit(
        self, tasks: Iterable[Task], watcher: Watcher, tries: int = 1
    ) -> tuple[Episode, ...]:
        """Return the episodes of so many tries at each task; those stored are not played again."""
        attempts = self.attempts(tasks, tries)
        kept = self.rig.store.episode_ids(self.run)

        def keep(episode: Episode) -> None:
            self.rig.store.add(episode)
            watcher.episode(episode)

        left = [each for each in attempts if each.id not in kept]
        await play(self.run, left, self.rig, keep=keep, on_step=watcher.step)
        return tuple(self.rig.store.get(each.id) for each in attempts)


def contender(config: Config, spec: str) -> Config:
    """Return the settings under which a contender plays.

    Args:
        config: those of the exam.
        spec: a policy, with "+memory" if memory briefs it.
    """
    use = spec.removesuffix(MEMORY)
    recall = config.memory.recall if spec.endswith(MEMORY) else "off"
    update = {
        "policy": config.policy.model_copy(update={"use": use}),
        "memory": config.memory.model_copy(update={"recall": recall}),
    }
    return settled(config.model_copy(update=update))


@contextmanager
def seated(config: Config, specs: Sequence[str], *, salt: str = "") -> Generator[tuple[Seat, ...]]:
    """Yield the contenders, ready to play; who appears twice is loaded once.

    Args:
        config: the settings of the exam.
        specs: see `contender`.
        salt: makes the episodes of this exam its own; empty: an answer given before is taken again.
    """
    make_environment(config)  # first: a slip in a name is told before any loading
    policies: dict[str, Policy] = {}
    with ExitStack() as rigs:
        seats: list[Seat] = []
        for spec in specs:
            own = contender(config, spec)
            policy = policies.get(own.policy.use) or make_policy(own)
            policies[own.policy.use] = policy
            rig = rigs.enter_context(make_rig(own, policy=policy))
            name = own.policy.use + (MEMORY if rig.reminder else "")
            seats.append(Seat(name=name, key=_key(own, salt), seed=config.seed, rig=rig))
        yield tuple(seats)


async def compare(a: Seat, b: Seat, tasks: Sequence[Task], watcher: Watcher) -> Comparison:
    """Return what both make of these tasks."""
    ours, theirs = [await seat.sit(tasks, watcher) for seat in (a, b)]
    return Comparison(a=sheet(a.name, ours), b=sheet(b.name, theirs))


async def leave(*seats: Seat) -> None:
    """Close the policies, on the event loop that they worked on."""
    for policy in {id(seat.rig.policy): seat.rig.policy for seat in seats}.values():
        await policy.close()


def sheet(name: str, episodes: Iterable[Episode]) -> Sheet:
    return Sheet(name=name, answers=tuple(map(answer, episodes)))


def answer(episode: Episode) -> Answer:
    return Answer(
        task=episode.task.id,
        kind=episode.task.kind,
        episode=episode.id,
        solved=episode.solved,
        steps=len(episode.steps),
        prompt_tokens=episode.prompt_tokens,
        confidence=confidence(episode),
    )


def confidence(episode: Episode) -> float | None:
    """Return how sure the policy was of what it did: the geometric mean over its steps."""
    steps = [step.completion.logprobs for step in episode.steps]
    if not steps or not all(steps):
        return None
    return exp(sum(map(sum, steps)) / len(steps))


def exam_tasks(rig: Rig, split: Split, most: int | None) -> Sequence[Task]:
    """Return the first tasks of a split, in the order that never changes.

    Raises:
        EmptySplitError: there is none.
    """
    tasks = rig.environment.tasks(split)[:most]
    if not tasks:
        raise EmptySplitError(rig.environment.name, split)
    return tasks


def _by_kind(sheet: Sheet) -> Iterator[tuple[Answer, ...]]:
    ordered = sorted(sheet.answers, key=lambda each: each.kind)
    return (tuple(group) for _, group in groupby(ordered, key=lambda each: each.kind))


def _key(config: Config, salt: str) -> str:
    """Return what tells the episodes under these settings from all others."""
    told = acting_settings(config, policy={"width"})
    return _digest(salt, told, str(config.endpoint.max_tokens))


def _digest(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode(), digest_size=KEY_BYTES).hexdigest()
