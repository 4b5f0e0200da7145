"""Adapters: who descends from whom, which one acts, how each was judged; and the audits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from apprentice.findings.place import AUDITS, REPORT, newest_first
from apprentice.gate.promises import Promise, read_promise
from apprentice.settings.orders import read_report
from apprentice.web.site import Site
from apprentice.web.words import page
from distill.models.adapters import Lineage
from environments.errors import UnknownNameError

SHOWN = 200
"""Episodes of an adapter that its page leads to; all of them: `apprentice adapters blame`."""


@dataclass(frozen=True, slots=True)
class Descent:
    """An adapter, and what was made from it."""

    lineage: Lineage
    promise: Promise | None
    children: tuple["Descent", ...]


def routes(site: Site) -> APIRouter:
    """Return the ways to the pages of adapters and audits."""
    router = APIRouter()

    @router.get("/adapters")
    def adapters() -> HTMLResponse:
        return page(
            site,
            "adapters.html",
            roots=list(descents(site)),
            acting=site.adapters.current(),
            audits=[(each.begun, each.finished) for each in newest_first(site.config.home)],
        )

    @router.get("/adapters/{name}")
    def adapter(name: str) -> HTMLResponse:
        lineage = site.adapters.lineage(name)
        return page(
            site,
            "adapter.html",
            lineage=lineage,
            acts=site.adapters.current() == name,
            promise=read_promise(site.config, name),
            report=read_report(site.adapters, name),
            line=list(_ancestry(site, lineage)),
            episodes=lineage.episodes[:SHOWN],
            audits=list(_audits_beside(site.adapters.path(name))),
        )

    @router.get("/audits/{id}")
    def audit(id: str) -> HTMLResponse:
        places = {each.folder.name: each for each in newest_first(site.config.home)}
        if id not in places:
            raise UnknownNameError("audit", id, tuple(places))
        place = places[id]
        report = place.report if place.finished else None
        return page(site, "audit.html", begun=place.begun, report=report)

    return router


def descents(site: Site) -> Iterator[Descent]:
    """Yield the adapters that were made from a base, each with its descendants."""
    lineages = sorted(map(site.adapters.lineage, site.adapters.names()), key=lambda each: each.made)
    known = {each.name for each in lineages}
    for each in lineages:
        if each.parent not in known:
            yield _descent(site, each, lineages)


def _descent(site: Site, lineage: Lineage, among: Sequence[Lineage]) -> Descent:
    children = (each for each in among if each.parent == lineage.name)
    return Descent(
        lineage,
        read_promise(site.config, lineage.name),
        tuple(_descent(site, each, among) for each in children),
    )


def _ancestry(site: Site, lineage: Lineage) -> Iterator[Lineage]:
    """Yield an adapter and all that it goes back to, as far as it is kept."""
    known = site.adapters.names()
    current = lineage
    yield current
    while current.parent in known:
        assert current.parent is not None
        current = site.adapters.lineage(current.parent)
        yield current


def _audits_beside(folder: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted((folder / AUDITS).glob(f"*/{REPORT}")):
        yield json.loads(file.read_text(encoding="utf-8"))
