"""`apprentice learn`: rounds of learning, told stage by stage; the record of old ones."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING

from rich.text import Text

from apprentice.build import (
    make_environment,
    make_home,
    make_library,
    make_serving,
    make_spans,
    now,
    run_lock,
    store_place,
)
from apprentice.gate.gate import Gated
from apprentice.loop.reports import Record, StageReport, record_of, to_json
from apprentice.loop.site import Site
from apprentice.loop.trace import leaks
from apprentice.settings.config import Config
from apprentice.settings.freezing import frozen_settings, thaw
from apprentice.terminal.terminal import aside, inert, out, say_json
from environments.errors import UserError
from memory.proof.proof import judge
from memory.proof.rounds import Round, Rounds

if TYPE_CHECKING:
    from apprentice.loop.round import Within

LOCK = "learn"
KEY_BYTES = 4


EXIT_INTERRUPTED = 130


class UnfinishedError(UserError, LookupError):
    """A round whose record is not whole."""


class InterruptedRoundError(UserError, RuntimeError):
    """A round that somebody stopped; what is finished is kept."""

    code = EXIT_INTERRUPTED

    def __init__(self, round: Round) -> None:
        super().__init__(f"interrupted in round {round.id}; go on with: apprentice learn")


def learn(config: Config, rounds: int, *, as_json: bool) -> None:
    """Carry out so many rounds; one that was killed is finished first, and counts."""
    make_environment(config)  # first: a slip in a name is told before any loading
    records: list[tuple[Round, Record]] = []
    with run_lock(config, LOCK), open_rounds(config) as kept:
        for left in range(rounds, 0, -1):
            round, *coming = in_turn(config, kept, left)
            aside().print(Text(f"round {round.id}"))
            records.append((round, carry_on(config, round, kept, coming, quiet=as_json)))
    if as_json:
        say_json([plain(round, record) for round, record in records])
    else:
        out().print("what was learned: apprentice skills list; once more: apprentice learn")


def replay(config: Config, round_id: str, *, as_json: bool) -> bool:
    """Print the record of a finished round, judge its pairs again, and return whether all agrees.

    Raises:
        UnfinishedError: it has not come to its end.
    """
    with open_rounds(config) as kept:
        round = kept.get(round_id)
        record = record_of(kept.reports(round.id))
    if record.promote is None:
        raise UnfinishedError(f"round {round.id} is not finished; go on with: apprentice learn")
    agrees = judged_again(record)
    if as_json:
        say_json(plain(round, record) | {"agrees": agrees})
        return agrees
    for report in record.finished.values():
        tell(report)
    out().print(f"judged again from the stored pairs: {'the same' if agrees else 'DIFFERENT'}")
    return agrees


def check(config: Config, *, as_json: bool) -> bool:
    """Follow all that was learned to its tasks, and return whether none was for the exam only."""
    with make_library(config) as library, open_rounds(config) as kept:
        found = leaks(library, kept)
        looked = len(library.adapters.names()), library.bank.count()
    if as_json:
        say_json({"leaks": found, "adapters": looked[0], "memories": looked[1]})
        return not found
    for line in found or ("nothing that was learned is of a task kept for the exam",):
        out().print(Text(inert(line)))
    out().print(Text(f"{looked[0]} adapters and {looked[1]} memories traced", style="dim"))
    return not found


def open_rounds(config: Config) -> Rounds:
    """Return the record of all rounds."""
    return Rounds.open(store_place(config))


def begin_round(config: Config, kept: Rounds) -> Round:
    """Return the next round, begun. The same home and settings give it the same name."""
    settings, number = frozen_settings(config), kept.next_number()
    digest = blake2b(settings.encode(), digest_size=KEY_BYTES).hexdigest()
    round = Round(
        id=f"round-{number}-{digest}",
        number=number,
        seed=config.seed,
        settings=settings,
        started=now(),
    )
    kept.begin(round)
    return round


def in_turn(config: Config, kept: Rounds, left: int) -> list[Round]:
    """Return the round to carry out, and after it those that may be practised ahead meanwhile.

    Args:
        config: the settings of rounds that are not begun yet.
        kept: the rounds.
        left: how many are wanted.
    """
    from apprentice.distilling.staleness import rounds_ahead

    waiting = [each for each in kept.all() if each.finished is None]
    first = waiting[0] if waiting else begin_round(config, kept)
    ahead = min(rounds_ahead(thaw(first.settings, config)), left - 1)
    alike = [each for each in waiting[1:] if each.settings == first.settings]
    if frozen_settings(config) == first.settings:
        alike += [begin_round(config, kept) for _ in range(ahead - len(alike))]
    return [first, *alike[:ahead]]


def carry_on(
    config: Config, round: Round, kept: Rounds, coming: Sequence[Round] = (), *, quiet: bool
) -> Record:
    """Carry out what is left of a round, telling what each stage comes to.

    Args:
        config: the places and secrets of today.
        round: begun.
        kept: the rounds.
        coming: those that may be practised ahead.
        quiet: whether nothing is printed of the stages.

    Raises:
        InterruptedRoundError: somebody pressed Ctrl-C.
        UserError: someone can mend it; the round goes on from there.
    """
    from apprentice.loop.round import run_round  # LangGraph: a second, which a replay need not pay

    own = thaw(round.settings, config)
    for report in record_of(kept.reports(round.id)).finished.values():
        _say(report, quiet=quiet)  # of before it was killed
    checkpoints = make_home(config) / f"{round.id}.sqlite"
    try:
        with _told(own, round) as within, make_serving(own) as acting:
            site = Site(config=acting, round=round, rounds=kept, coming=tuple(coming))
            return run_round(site, checkpoints, lambda report: _say(report, quiet=quiet), within)
    except KeyboardInterrupt:
        raise InterruptedRoundError(round) from None


def _told(config: Config, round: Round) -> "AbstractContextManager[Within]":
    """Return what a round is carried out in, so that a collector is told of its stages."""
    spans = make_spans(config)
    return nullcontext(lambda _: nullcontext()) if spans is None else spans.round(round.id)


def judged_again(record: Record) -> bool:
    """Return whether the stored pairs still give the stored verdicts."""
    went_on = record.settle.examined if record.settle else None
    return all(_agrees(each.gated) for each in (went_on, record.examine) if each is not None)


def tell(report: StageReport) -> None:
    """Print what a stage came to."""
    for place, line in enumerate(report.lines()):
        out().print(Text(inert(line), style="" if place == 0 else "dim"), soft_wrap=True)


def plain(round: Round, record: Record) -> dict[str, object]:
    """Return a record as JSON-like values."""
    told = {stage: json.loads(to_json(each)) for stage, each in record.finished.items()}
    return {"round": round.id, "seed": round.seed, **told}


def _agrees(gated: Gated) -> bool:
    verdict = gated.verdict
    again = judge(
        gated.compared.pairs,
        verdict.plan,
        anchors=gated.anchors.pairs,
        tolerated=gated.tolerated,
        vetoes=verdict.vetoes,
    )
    return again == verdict


def _say(report: StageReport, *, quiet: bool) -> None:
    if not quiet:
        tell(report)
