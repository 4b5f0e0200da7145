"""What each stage of a round came to, as values that are printed, kept, and judged again.

Written as JSON, so that a round of last month can be read by tomorrow's program or by none of ours.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeAlias

from pydantic import TypeAdapter

from apprentice.gate.gate import Gated
from apprentice.settings.orders import Report
from memory.proof.intervals import Interval, wilson
from memory.proof.proof import Outcome, sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How the exam went on that an earlier round, or a job, left undecided."""

    incumbent: str = ""  # a policy, named exactly; empty: nothing was left
    candidate: str = ""  # likewise
    examined: "Examined | None" = None  # None: nothing was left

    def lines(self) -> Iterator[str]:
        if self.examined is not None:
            yield f"settle: the exam of {self.candidate} goes on"
            yield from (f"  {line}" for line in self.examined.lines())


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Who acts now, and who goes on learning."""

    incumbent: str  # a policy, named exactly
    student: str  # who practises: the incumbent, or what a cold start made of the bare model
    cold: Report | None  # None: there was none, or an earlier round's is gone on with
    settled: "Promoted | None" = None  # what became of a candidate whose exam went on

    def lines(self) -> Iterator[str]:
        if self.settled is not None:
            yield from self.settled.lines()
        yield f"start: {self.incumbent} acts"
        if self.student != self.incumbent:
            yield f"  {self.student} goes on learning{_trained(self.cold)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One memory chosen for an attempt."""

    item: str
    version: int
    shown: bool  # False: left out by lot
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One attempt that will be made."""

    id: str
    task: str
    seed: int
    briefing: str
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What is practised, and what memory says before it."""

    attempts: tuple[Asked, ...]
    kinds: Mapping[str, int]  # tasks by type
    policy: str = ""  # who makes them, where it was planned ahead; empty: the student of the round
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    """Attempts that were made ahead and are of no use any more, by reason."""

    def lines(self) -> Iterator[str]:
        tasks = len({each.task for each in self.attempts})
        briefed = sum(bool(each.briefing) for each in self.attempts)
        ahead = f", planned ahead for {self.policy}" if self.policy else ""
        told = f"{len(self.attempts)} attempts at {tasks} train tasks, {briefed} briefed{ahead}"
        yield f"recall: {told}"
        yield f"  {_listed(self.kinds)}"
        yield from (
            f"  {many} made ahead are left out: {why}" for why, many in self.dropped.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Practised:
    """How the attempts went."""

    solved: int
    kinds: Mapping[str, tuple[int, int]]  # solved and made, by task type
    mean_steps: float
    prompt_tokens: int
    seconds: float  # of the last sitting

    @property
    def episodes(self) -> int:
        return sum(made for _, made in self.kinds.values())

    def lines(self) -> Iterator[str]:
        yield f"practise: solved {_share(self.solved, self.episodes)}, {self.mean_steps:.1f} steps"
        for kind, (solved, made) in self.kinds.items():
            yield f"  {kind}: {solved} of {made}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """What memory learned."""

    items: Mapping[str, tuple[str, ...]]  # ids of new or changed ones, by their sort
    said: tuple[str, ...]  # the words of the lessons and skills among them
    critiques: int
    skipped: Mapping[str, int]  # episodes or answers, by reason
    retired: Mapping[str, str]  # why, by id
    deeds: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many were added, merged with one there was, or superseded it under its id."""

    def lines(self) -> Iterator[str]:
        made = {sort: len(ids) for sort, ids in self.items.items()}
        deeds = f" ({_listed(self.deeds)})" if self.deeds else ""
        yield f"absorb: {_listed(made) or 'nothing new'}{deeds}, {self.critiques} critiques"
        yield from (f"  learned: {each}" for each in self.said)
        yield from (f"  retired {id}: it {why}" for id, why in self.retired.items())
        yield from (f"  {many} passed over: {why}" for why, many in self.skipped.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """How far the proof of memories has come."""

    words: Mapping[str, str]  # the verdict so far, by the id of the candidate
    active: tuple[str, ...]  # proven: used from now on

    def lines(self) -> Iterator[str]:
        if self.words:
            yield f"prove: {len(self.active)} of {len(self.words)} memories proven"
        yield from (f"  {id}: {words}" for id, words in self.words.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """What became of the weights."""

    candidate: str | None  # a policy; None: there is nothing new to examine
    report: Report | None  # None: nothing was worth training on
    dropped: Mapping[str, int]  # attempts that cannot be learned from, by reason

    def lines(self) -> Iterator[str]:
        yield f"distil: {self.candidate or 'no candidate'}{_trained(self.report)}"
        yield from (f"  {many} attempts left out: {why}" for why, many in self.dropped.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the gate saw."""

    gated: Gated
    level: float  # what this candidate may cost of the error

    def lines(self) -> Iterator[str]:
        compared = self.gated.compared
        for sheet in (compared.a, compared.b):
            solved = _share(sheet.solved, len(sheet.answers))
            yield f"examine: {sheet.name} solved {solved}, {sheet.mean_steps:.1f} steps"
        yield f"  {sentence(self.gated.verdict)} at level {self.level:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """Who acts from now on."""

    acting: str
    outcome: Outcome | None  # None: there was no candidate
    internalised: tuple[str, ...]  # memories that the weights hold now
    tokens_saved: float  # of the prompt, an episode

    def lines(self) -> Iterator[str]:
        yield f"promote: {self.outcome or 'nothing to judge'}; {self.acting} acts"
        if self.internalised:
            ids = ", ".join(self.internalised)
            yield f"  the weights hold {ids}: {self.tokens_saved:.0f} tokens saved an episode"


StageReport: TypeAlias = (
    Settled | Started | Recalled | Practised | Absorbed | Proved | Distilled | Examined | Promoted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the finished stages of a round came to, in their order."""

    ahead: Recalled | None = None  # what was planned while an earlier round trained
    settle: Settled | None = None
    start: Started | None = None
    recall: Recalled | None = None
    practise: Practised | None = None
    absorb: Absorbed | None = None
    prove: Proved | None = None
    distil: Distilled | None = None
    examine: Examined | None = None  # None also where there was nothing to examine
    promote: Promoted | None = None

    @property
    def finished(self) -> dict[str, StageReport]:
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: report for name, report in told.items() if report is not None}


_REPORT: TypeAdapter[StageReport] = TypeAdapter(StageReport)
_RECORD = TypeAdapter(Record)


def to_json(report: StageReport) -> str:
    return _REPORT.dump_json(report).decode()


def record_of(reports: Mapping[str, str]) -> Record:
    """Return the record that these reports, by stage, were written of."""
    return _RECORD.validate_python({stage: json.loads(told) for stage, told in reports.items()})


def _share(solved: int, of: int) -> str:
    interval = Interval(*wilson(solved / of if of else 0.0, of).tolist())
    return f"{solved} of {of} ({interval.low:.0%} to {interval.high:.0%})"


def _trained(report: Report | None) -> str:
    if report is None:
        return ""
    learned = f"{report.samples} sequences in {report.steps} steps, {report.seconds:.0f} s"
    stopped = report.alarm or report.spent
    return f" after {learned}{f', stopped: {stopped}' if stopped else ''}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {what}" for what, many in counts.items())
