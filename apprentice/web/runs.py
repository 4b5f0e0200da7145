"""Runs, and the one that is under way: its page shows each episode soon after it is kept."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from apprentice.web.forms import done
from apprentice.web.site import Site
from apprentice.web.words import address, page
from memory.store.errors import UnknownIdError

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
    def run(id: str) -> Response:
        try:
            found = site.store.run(id)
        except UnknownIdError:
            if site.pages.tally(id) is None:
                raise
            return done(address("/episodes", run=id))  # the practice or the exam of a round
        latest = site.pages.episodes(limit=LATEST, run=found.id).rows
        tally = site.pages.tally(found.id)
        return page(site, "run.html", run=found, tally=tally, rows=latest)

    return router
