"""The first page: how success went from run to run, what it cost, and what changed this week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from apprentice.findings.report import Chart, Curve, Dot
from apprentice.gate.promises import Promise, read_promise
from apprentice.loop.reports import Practised, Record, record_of
from apprentice.web.site import Site
from apprentice.web.words import page, picture
from environments.episode import Split
from memory.bank.pages import Tallied
from memory.proof.intervals import wilson
from memory.proof.proof import Outcome
from memory.proof.rounds import Round

RUNS = 60
"""Runs on the curve: as many as a reader can tell apart on a screen."""

ROUNDS = 5  # told in words
DRAWN = 24  # rounds on the curve; each takes some milliseconds to read
CHANGES = 20
WEEK = timedelta(days=7)


Lived: TypeAlias = tuple[Round, Record]


@dataclass(frozen=True, slots=True)
class Totals:
    """What some runs, and the practice of some rounds, amount to together."""

    episodes: int
    solved: int
    tokens: int  # of the runs alone

    @classmethod
    def of(cls, tallies: Sequence[Tallied], practised: Sequence[Practised] = ()) -> "Totals":
        return cls(
            episodes=sum(each.episodes for each in (*tallies, *practised)),
            solved=sum(each.solved for each in (*tallies, *practised)),
            tokens=sum(each.prompt_tokens + each.completion_tokens for each in tallies),
        )


def routes(site: Site) -> APIRouter:
    """Return the way to the first page."""
    router = APIRouter()

    @router.get("/")
    def overview() -> HTMLResponse:
        return front(site)

    return router


def front(site: Site) -> HTMLResponse:
    """Return the first page."""
    tallies = site.pages.tallies(RUNS)
    newest = site.rounds.all()[-DRAWN:]
    lived = [(each, record_of(site.rounds.reports(each.id))) for each in newest]
    since = site.clock() - WEEK
    practised = [
        record.practise for each, record in lived if record.practise and each.started >= since
    ]
    return page(
        site,
        "overview.html",
        tallies=tallies[::-1],
        learning=picture(learning(lived)) if any(each.examine for _, each in lived) else None,
        curve=picture(curve(tallies, promotions(site))) if tallies else None,
        week=Totals.of([each for each in tallies if each.last >= since], practised),
        total=Totals.of(tallies),
        standings=site.pages.standings(),
        changes=site.pages.changes(since, limit=CHANGES),
        rounds=[_told(*each) for each in lived[::-1][:ROUNDS]],
        acting=site.adapters.current(),
    )


def promotions(site: Site) -> list[Promise]:
    """Return the promises of the adapters that a gate let pass, oldest first."""
    told = (read_promise(site.config, name) for name in site.adapters.names())
    passed = (each for each in told if each is not None and each.outcome is Outcome.PROMOTE)
    return sorted(passed, key=lambda each: each.judged)


def learning(lived: Sequence[Lived]) -> Chart:
    """Return what each round's exam said of who acted and of the candidate, and who passed.

    Both play the same held-out tasks; an exam that was decided early has few, and wide intervals.
    """
    acted: list[Dot] = []
    tried: list[Dot] = []
    passed: list[Dot] = []
    for round, record in lived:
        if record.examine is None:
            continue
        compared = record.examine.gated.compared
        for sheet, dots in ((compared.a, acted), (compared.b, tried)):
            dots.append(Dot(round.number, sheet.share, sheet.interval.low, sheet.interval.high))
        if record.promote is not None and record.promote.outcome is Outcome.PROMOTE:
            passed.append(tried[-1])
    curves = (
        Curve("who acted", tuple(acted)),
        Curve("the candidate", tuple(tried), joined=False),
        Curve("promoted", tuple(passed), joined=False),
    )
    return Chart(
        title="Share of held-out tasks solved, round by round",
        across="round",
        up="solved in the round's exam, with 95 % intervals",
        curves=tuple(each for each in curves if each.dots),
    )


def curve(tallies: Sequence[Tallied], promoted: Sequence[Promise]) -> Chart:
    """Return the share solved in each run, a curve for each split, and where promotions fell."""
    dots = _dots(tallies)
    by_split = {
        split: tuple(dots[each.run] for each in tallies if each.split is split) for split in Split
    }
    curves = [Curve(split.value, found) for split, found in by_split.items() if found]
    firsts = (_first_after(tallies, each.judged) for each in promoted)
    if marks := tuple(dots[run] for run in dict.fromkeys(firsts) if run is not None):
        curves.append(Curve("first run after a promotion", marks, joined=False))
    return Chart(
        title="Share solved, run by run",
        across=f"run, the newest {len(tallies)}",
        up="solved, with 95 % intervals",
        curves=tuple(curves),
    )


def _dots(tallies: Sequence[Tallied]) -> dict[str, Dot]:
    """Return the share solved in each run, with its interval, in their order."""
    dots: dict[str, Dot] = {}
    for place, each in enumerate(tallies, start=1):
        share = each.solved / each.episodes
        dots[each.run] = Dot(place, share, *wilson(share, each.episodes).tolist())
    return dots


def _first_after(tallies: Sequence[Tallied], moment: datetime) -> str | None:
    return next((each.run for each in tallies if each.first >= moment), None)


def _told(round: Round, record: Record) -> tuple[int, str, list[str]]:
    """Return the number of a round, its state, and what its stages came to."""
    lines = [line for report in record.finished.values() for line in report.lines()]
    return round.number, "finished" if round.finished else "under way", lines
