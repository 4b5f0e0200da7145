"""What was learned: demonstrations, lessons and skills, what each did, and why it is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from apprentice.terminal.wording import changed, headline
from apprentice.web.forms import done, filled
from apprentice.web.site import Site
from apprentice.web.words import address, page
from environments.errors import UnknownNameError
from memory.bank.bank import ItemFilters
from memory.bank.changes import MOVES
from memory.bank.lineage import Trace
from memory.bank.lineage import why as trace
from memory.knowledge import skill_md
from memory.knowledge.items import Demonstration, Item, Skill, Standing
from memory.knowledge.journal import USER
from memory.knowledge.skill_md import TYPES
from memory.proof.credit import Credit, credit

PAGE = 30

OUTSIDE = {"id", "version", "standing", "source", "environment", "kind", "moves", "procedure"}
"""Fields that a page of an item shows in a place of their own."""

EPISODE = re.compile(r"(?:episode |step (?P<step>\d+) of |at the end of )(?P<id>[^\s:]+):")
"""How a line of lineage names an episode, and a step of it."""

MEMORY = re.compile(r"([DLS]\d+) (?:demonstration|lesson|skill) v")
"""How one begins that is of a memory."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing."""

    item: Item
    sort: str
    words: str
    credit: Credit


@dataclass(frozen=True, slots=True)
class Ground:
    """One line of a lineage, where it leads, and what it rests on."""

    line: str
    to: str | None
    grounds: tuple["Ground", ...]


def routes(site: Site) -> APIRouter:
    """Return the ways to the pages of what was learned."""
    router = APIRouter(prefix="/skills")

    @router.get("")
    def skills(request: Request) -> HTMLResponse:
        return listing(site, dict(request.query_params))

    @router.get("/{id}")
    def skill(id: str, old: int | None = None, new: int | None = None) -> HTMLResponse:
        return read(site, id, old, new)

    @router.post("/{id}/standing")
    async def move(id: str, request: Request) -> Response:
        form = await filled(site.access, request)
        to = _standing(form.get("to", ""))
        if to is None:
            raise UnknownNameError("standing", "", tuple(Standing))
        site.bank.set_standing(id, to, form.get("why", ""), site.clock(), by=USER)
        return done(f"/skills/{id}")

    return router


def listing(site: Site, asked: Mapping[str, str]) -> HTMLResponse:
    """Return a page of items that are asked for: the newest, or those that fit the words best."""
    query = {name: asked.get(name, "") for name in ("standing", "type", "kind", "q")}
    filters = ItemFilters(
        standing=_standing(query["standing"]),
        type=_type(query["type"]),
        kind=query["kind"] or None,
    )
    older = None
    if query["q"]:
        best = [id for id, _ in site.bank.search_text(query["q"], PAGE, **filters)]
        found = {item.id: item for item in site.bank.some(best)}
        items = tuple(found[id] for id in best)
    else:
        shown = site.pages.items(limit=PAGE, before=_number(asked.get("before", "")), **filters)
        items = shown.items
        older = address("/skills", **query, before=shown.older) if shown.older else None
    rows = [listed(site, item) for item in items]
    return page(
        site,
        "skills.html",
        rows=rows,
        older=older,
        asked=query,
        standings=list(Standing),
        types=list(TYPES),
        counts=site.pages.standings(),
    )


def read(site: Site, id: str, old: int | None, new: int | None) -> HTMLResponse:
    """Return the page of one item, with what changed between two of its versions."""
    item = site.bank.get(id)
    versions = site.bank.versions(id)
    newer = site.bank.get(id, new)
    older = site.bank.get(id, old) if old else _before(versions, newer)
    return page(
        site,
        "skill.html",
        row=listed(site, item),
        facts=facts(item),
        moves=item.moves if isinstance(item, Demonstration) else (),
        procedure=item.procedure if isinstance(item, Skill) else (),
        versions=versions,
        older=older,
        newer=newer,
        changes=list(changed(older, newer)) if older else [],
        history=site.bank.history(id),
        why=ground(trace(site.bank, site.store, id)),
        text=skill_md.export(item)["SKILL.md"],
        ways=MOVES[item.standing],
    )


def listed(site: Site, item: Item) -> Listed:
    """Return an item with what it did so far."""
    earned = credit(item.id, site.bank.uses(item.id))
    return Listed(item, type(item).__name__.lower(), headline(item), earned)


def facts(item: Item) -> dict[str, Any]:
    """Return what an item says, field by field; what is empty is left out."""
    told = {field.name: getattr(item, field.name) for field in fields(item)}
    shown = {name: value for name, value in told.items() if name not in OUTSIDE}
    return {
        name: ", ".join(value) if isinstance(value, tuple) else value
        for name, value in shown.items()
        if value not in ("", ())
    }


def ground(found: Trace) -> Ground:
    """Return a lineage with the addresses of the episodes and steps that it names."""
    memory, lived = MEMORY.match(found.line), EPISODE.search(found.line)
    to = None
    if memory is not None:
        to = f"/skills/{memory[1]}"
    elif lived is not None:
        to = f"/episodes/{lived['id']}" + (f"#step-{lived['step']}" if lived["step"] else "")
    return Ground(found.line, to, tuple(ground(each) for each in found.grounds))


def _before(versions: list[Item], newer: Item) -> Item | None:
    older = [each for each in versions if each.version < newer.version]
    return older[-1] if older else None


def _standing(word: str) -> Standing | None:
    if word and word not in list(Standing):
        raise UnknownNameError("standing", word, tuple(Standing))
    return Standing(word) if word else None


def _type(word: str) -> type[Item] | None:
    if word and word not in TYPES:
        raise UnknownNameError("type", word, tuple(TYPES))
    return TYPES[word] if word else None


def _number(word: str) -> str | None:
    return word if word.isdecimal() else None
