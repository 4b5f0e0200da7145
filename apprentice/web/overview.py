"""The first page: how success went from run to run, what it cost, and what changed this week."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from apprentice.findings.report import Chart, Curve, Dot
from apprentice.gate.promises import Promise, read_promise
from apprentice.loop.reports import record_of
from apprentice.web.site import Site
from apprentice.web.words import page, picture
from environments.episode import Split
from memory.bank.pages import Tallied
from memory.proof.intervals import wilson
from memory.proof.proof import Outcome

RUNS = 60
"""Runs on the curve: as many as a reader can tell apart on a screen."""

ROUNDS = 5
CHANGES = 20
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Totals:
    """What some runs amount to together."""

    episodes: int
    solved: int
    tokens: int

    @classmethod
    def of(cls, tallies: Sequence[Tallied]) -> "Totals":
        return cls(
            episodes=sum(each.episodes for each in tallies),
            solved=sum(each.solved for each in tallies),
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
    since = site.clock() - WEEK
    return page(
        site,
        "overview.html",
        tallies=tallies[::-1],
        curve=picture(curve(tallies, promotions(site))) if tallies else None,
        week=Totals.of([each for each in tallies if each.last >= since]),
        total=Totals.of(tallies),
        standings=site.pages.standings(),
        changes=site.pages.changes(since, limit=CHANGES),
        rounds=list(_rounds(site)),
        acting=site.adapters.current(),
    )


def promotions(site: Site) -> list[Promise]:
    """Return the promises of the adapters that a gate let pass, oldest first."""
    told = (read_promise(site.config, name) for name in site.adapters.names())
    passed = (each for each in told if each is not None and each.outcome is Outcome.PROMOTE)
    return sorted(passed, key=lambda each: each.judged)


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


def _rounds(site: Site) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the newest rounds: their number, their state, and what their stages came to."""
    for each in site.rounds.all()[::-1][:ROUNDS]:
        stages = record_of(site.rounds.reports(each.id)).finished.values()
        lines = [line for report in stages for line in report.lines()]
        yield each.number, "finished" if each.finished else "under way", lines
