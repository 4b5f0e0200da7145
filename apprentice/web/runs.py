"""Runs, and the one that is under way: its page shows each episode soon after it is kept."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from apprentice.web.site import Site
from apprentice.web.words import page

NEWEST = 50
LATEST = 20
"""Episodes of a run that its page shows."""


def routes(site: Site) -> APIRouter:
    """Return the ways to the pages of runs."""
    router = APIRouter(prefix="/runs")

    @router.get("")
    def runs() -> HTMLResponse:
        rows = [(each, site.pages.tally(each.id)) for each in site.store.runs(NEWEST)]
        return page(site, "runs.html", rows=rows)

    @router.get("/{id}")
    def run(id: str) -> HTMLResponse:
        found = site.store.run(id)
        latest = site.pages.episodes(limit=LATEST, run=found.id).rows
        tally = site.pages.tally(found.id)
        return page(site, "run.html", run=found, tally=tally, rows=latest)

    return router
