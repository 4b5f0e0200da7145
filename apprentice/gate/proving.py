"""Admission by proof: a candidate is used once attempts with it have beaten attempts without it.

Each pair is one task, played twice from the same seed: briefed as everybody is, and with the
candidate in the first place. Every attempt is known by all that decides it and is stored, so what
was killed goes on, and candidates of one round share the attempts without them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from agent.attempt import Attempt
from apprentice.runs.remember import Reminder
from apprentice.runs.runs import Rig, Watcher, play
from environments.episode import Ending, Episode, Split, Task
from environments.errors import UserError
from environments.seed import derive
from memory.bank.bank import Bank
from memory.knowledge.admission import same_words
from memory.knowledge.items import Demonstration, Item, Standing
from memory.proof.proof import Outcome, Pair, Verdict, judge, sentence
from memory.proof.sequential import Plan
from memory.proof.trials import Result, Trial, Trials, plan_of
from memory.recall.recall import on_trial
from memory.store.errors import UnknownIdError

if TYPE_CHECKING:
    from apprentice.settings.config import Memory

PROOF = "proof"
"""Who did it, in the journal; and how the runs of its episodes begin, which teach nothing."""

TOGETHER = 10
"""Candidates in a round. More wait for the next one: each takes its share of the round's level."""

PAIRS = 300
"""At most, for one candidate: 200 would show ten points in the first round in half of the cases
(python -m bench.admission)."""

LARGEST_GAIN = 0.5
"""In share solved. Where only more than this could be proven, a trial would retire what is good."""

HASHED = 1 << 63  # how many values `derive` can have
KEY_BYTES = 8
MANY = 1_000_000  # episodes of one round: more than are ever played for it


class CannotProveError(UserError, RuntimeError):
    """Nothing can be proven as things are set up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """Where candidates are proved."""

    rig: Rig
    trials: Trials
    seed: int
    set_aside: float  # share of the train tasks on which candidates are proved
    pairs: int | None = None  # to play now, for each candidate; None: until all is decided

    @property
    def reminder(self) -> Reminder:
        """Return who briefs.

        Raises:
            CannotProveError: nobody does.
        """
        if self.rig.reminder is None:
            raise CannotProveError(
                "memory.recall is 'off', so no memory is ever shown and none can be proven; "
                "set it to 'worth'"
            )
        return self.rig.reminder

    @property
    def bank(self) -> Bank:
        return self.reminder.bank


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What became of one candidate."""

    item: str
    verdict: Verdict | None  # None: it was not tried, or not to an end
    words: str  # the verdict in one line, or why there is none


@dataclass(frozen=True, slots=True)
class _Case:
    """A candidate on trial, and the tasks of its pairs, in their order."""

    item: Item
    trial: Trial
    tasks: tuple[Task, ...]

    @property
    def verdict(self) -> Verdict:
        return judge(self.trial.pairs, self.trial.plan)

    @property
    def left(self) -> tuple[Task, ...]:
        """Return the tasks that were not played yet."""
        played = {pair.task for pair in self.trial.pairs}
        return tuple(task for task in self.tasks if task.id not in played)


@dataclass(frozen=True, slots=True)
class _Duel:
    """The two attempts of one pair."""

    without: Attempt
    candidate: Attempt


def set_aside(tasks: Iterable[Task], share: float) -> tuple[Task, ...]:
    """Return the share of tasks that candidates are proved on, in an order of their own.

    Which ones they are is known from their ids alone; `to_practise` leaves them out.
    """
    lots = {task.id: derive(PROOF, task.id) for task in tasks}
    chosen = (task for task in tasks if lots[task.id] < share * HASHED)
    return tuple(sorted(chosen, key=lambda task: lots[task.id]))


def proves(memory: "Memory") -> bool:
    """Whether memories are used once they are proven, on tasks that are set aside for it."""
    return memory.recall != "off" and memory.admission == PROOF


def to_practise(tasks: Iterable[Task], memory: "Memory") -> tuple[Task, ...]:
    """Return the train tasks that are left for practice: a memory is proved on fresh ones."""
    tasks = tuple(tasks)
    aside = set(set_aside(tasks, memory.set_aside)) if proves(memory) else set[Task]()
    return tuple(task for task in tasks if task not in aside)


async def prove(
    candidates: Sequence[Item], court: Court, watcher: Watcher | None = None
) -> tuple[Ruling, ...]:
    """Go on with the trials of these candidates and begin those of the others, ten at a time.

    A candidate is made active as soon as it is proven and retired as soon as a worthwhile gain is
    out of sight; while neither is decided it stays what it is, and the next call goes on. The
    policy stays open.

    Args:
        candidates: whom to judge.
        court: where.
        watcher: told of what is played.

    Raises:
        CannotProveError: no memory is ever shown.
        UserError: someone can mend it; what was played is stored.
    """
    going = [_reopened(trial, court) for trial in court.trials.going()]
    wanted = {item.id for item in candidates}
    cases = [case for case in going if case is not None and case.item.id in wanted]
    new = [item for item in candidates if item.id not in {case.item.id for case in cases}]
    begun, rulings = _opened(new, TOGETHER - len(cases), court)
    cases += begun
    goals = {case.item.id: _goal(case, court) for case in cases}
    while cases:
        left: list[_Case] = []
        for case in cases:
            if case.verdict.outcome is not Outcome.UNDECIDED:
                rulings.append(_decided(case, court))
            elif len(case.trial.pairs) >= goals[case.item.id]:
                rulings.append(_adjourned(case, court))
            else:
                left.append(case)
        cases = await _played(left, goals, court, watcher) if left else []
    return tuple(rulings)


def _goal(case: _Case, court: Court) -> int:
    """Return how many pairs the trial shall have at the end of this call, those before included."""
    played = len(case.trial.pairs)
    now = len(case.left) if court.pairs is None else min(court.pairs, len(case.left))
    return min(played + now, case.trial.plan.pairs)


def _reopened(trial: Trial, court: Court) -> _Case | None:
    """Return a trial that goes on; None: it was ended, for there is nothing left to judge."""
    now = court.rig.clock()
    item = _as_it_was(trial, court.bank)
    if item is None:
        court.trials.end(trial, Result.DROPPED, now)
        return None
    case = _Case(item, trial, _tasks_for(item, court))
    if item.standing is Standing.CANDIDATE:
        return case
    if case.verdict.outcome is Outcome.UNDECIDED:  # a person was faster
        court.trials.end(trial, Result.DROPPED, now)
    else:  # killed after the verdict was carried out and before it was noted
        _decided(case, court)
    return None


def _as_it_was(trial: Trial, bank: Bank) -> Item | None:
    """Return the item as it is now, if it still says what is on trial."""
    for item in bank.some([trial.item]):
        try:
            return item if same_words(bank.get(trial.item, trial.version), item) else None
        except UnknownIdError:  # what it said was forgotten
            return None
    return None


def _opened(items: Sequence[Item], room: int, court: Court) -> tuple[list[_Case], list[Ruling]]:
    """Begin a round with as many of these as there is room for; say why others cannot be tried."""
    level = court.trials.spending().level(max(1, min(room, len(items))))
    chosen: dict[str, tuple[Item, tuple[Task, ...]]] = {}
    refused: list[Ruling] = []
    for item in items:
        tasks = _tasks_for(item, court)
        if (reason := _untriable(item, tasks, level, court)) is not None:
            refused.append(Ruling(item=item.id, verdict=None, words=reason))
        elif len(chosen) < room:
            chosen[item.id] = item, tasks
        else:
            refused.append(Ruling(item=item.id, verdict=None, words="waits for the next round"))
    if not chosen:
        return [], refused
    most = {id: min(PAIRS, len(tasks)) for id, (_, tasks) in chosen.items()}
    court.trials.open_round(most, [item for item, _ in chosen.values()], court.rig.clock())
    begun = {trial.item: trial for trial in court.trials.going()}
    return [_Case(item, begun[item.id], tasks) for item, tasks in chosen.values()], refused


def _untriable(item: Item, tasks: Sequence[Task], level: float, court: Court) -> str | None:
    if item.standing is not Standing.CANDIDATE:
        return f"is {item.standing}; only candidates are proved"
    if on_trial(item, (), court.reminder.space) is None:
        return "does not fit the budget of a briefing; raise memory.budget"
    provable = plan_of(level, min(PAIRS, len(tasks))).worthwhile if tasks else 1.0
    if provable > LARGEST_GAIN:
        return (
            f"{len(tasks)} train tasks of its kind are set aside, too few to prove even a gain of "
            f"{LARGEST_GAIN:.0%} at level {level:.2g}; give more tasks, or raise memory.set_aside"
        )
    return None


def _tasks_for(item: Item, court: Court) -> tuple[Task, ...]:
    """Return the tasks that an item is proved on: of its kind, and none that it was learned from.

    All candidates meet them in one order, so that they share the attempts without them.
    """
    learned_from = {court.rig.store.get(id).task.id for id in item.source.episodes}
    if isinstance(item, Demonstration):
        learned_from.add(item.task)
    aside = set_aside(court.rig.environment.tasks(Split.TRAIN), court.set_aside)
    return tuple(
        task for task in aside if item.kind in ("", task.kind) and task.id not in learned_from
    )


async def _played(
    cases: Sequence[_Case], goals: Mapping[str, int], court: Court, watcher: Watcher | None
) -> list[_Case]:
    """Play the next pairs of each trial, all of them together; return the cases with them."""
    each = max(1, court.rig.width // len(cases))
    duels: list[list[_Duel]] = []
    for case in cases:
        missing = goals[case.item.id] - len(case.trial.pairs)
        duels.append(_duels(case, case.left[: min(each, missing)], court))
    attempts = [one for them in duels for duel in them for one in (duel.without, duel.candidate)]
    solved = await _outcomes(attempts, court, watcher)
    return [_with_pairs(*each, solved, court) for each in zip(cases, duels, strict=True)]


def _duels(case: _Case, tasks: Sequence[Task], court: Court) -> list[_Duel]:
    space, round = court.reminder.space, case.trial.round
    bare = [_attempt(task, "", round, court) for task in tasks]
    shown = court.reminder.shown(bare)
    return [
        _Duel(
            without=_attempt(task, space.render(others), round, court),
            candidate=_attempt(task, on_trial(case.item, others, space) or "", round, court),
        )
        for task, others in zip(tasks, shown, strict=True)
    ]


def _attempt(task: Task, briefing: str, round: int, court: Court) -> Attempt:
    """Return the attempt; another round has other seeds, so that no luck counts twice."""
    seed = derive(court.seed, PROOF, round, task.id)
    policy, limits = court.rig.policy, court.rig.limits
    told = (policy.name, repr(policy.temperature), repr(limits), task.id, str(seed), briefing)
    return Attempt(
        id=blake2b("\x1f".join(told).encode(), digest_size=KEY_BYTES).hexdigest(),
        task=task,
        seed=seed,
        briefing=briefing,
        run=f"{PROOF}-{round}",
    )


async def _outcomes(
    attempts: Collection[Attempt], court: Court, watcher: Watcher | None
) -> dict[str, bool]:
    """Return which attempts solve their task; those that are stored are not played again.

    A broken one has not solved it: that may happen with and without a candidate alike.
    """
    store = court.rig.store
    runs = {attempt.run for attempt in attempts}
    solved = {
        row.id: row.ending is Ending.SOLVED
        for run in runs
        for row in store.rows(run=run, limit=MANY)
    }

    def keep(episode: Episode) -> None:
        store.add(episode)
        solved[episode.id] = episode.solved
        if watcher is not None:
            watcher.episode(episode)

    left = {each.id: each for each in attempts if each.id not in solved}
    await play(
        PROOF, left.values(), court.rig, keep=keep, on_step=watcher.step if watcher else None
    )
    return solved


def _with_pairs(
    case: _Case, duels: Sequence[_Duel], solved: Mapping[str, bool], court: Court
) -> _Case:
    """Keep the pairs up to the one that decides: those after it were played for nothing."""
    pairs = tuple(
        Pair(duel.without.task.id, solved[duel.without.id], solved[duel.candidate.id])
        for duel in duels
    )
    before, plan = case.trial.pairs, case.trial.plan
    enough = 1
    while enough < len(pairs) and not _decide(before + pairs[:enough], plan):
        enough += 1
    trial = court.trials.played(case.trial, pairs[:enough])
    return _Case(case.item, trial, case.tasks)


def _decide(pairs: Sequence[Pair], plan: Plan) -> bool:
    return judge(pairs, plan).outcome is not Outcome.UNDECIDED


def _decided(case: _Case, court: Court) -> Ruling:
    """Move the item first: who is killed in between finds the pairs, and the same verdict."""
    ruling, now = _ruling(case), court.rig.clock()
    promoted = case.verdict.outcome is Outcome.PROMOTE
    if case.item.standing is Standing.CANDIDATE:
        standing = Standing.ACTIVE if promoted else Standing.RETIRED
        court.bank.set_standing(case.item.id, standing, ruling.words, now, by=PROOF)
    court.trials.end(case.trial, Result.PROMOTED if promoted else Result.REJECTED, now)
    return ruling


def _adjourned(case: _Case, court: Court) -> Ruling:
    """Leave a trial as it is; one that ran out of tasks is over, and may be begun again."""
    if not case.left:
        court.trials.end(case.trial, Result.DROPPED, court.rig.clock())
    return _ruling(case)


def _ruling(case: _Case) -> Ruling:
    verdict = case.verdict
    return Ruling(item=case.item.id, verdict=verdict, words=sentence(verdict))
