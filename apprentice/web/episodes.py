"""Episodes: found by filter and words, read one at a time or two side by side, and annotated."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from apprentice.web.forms import done, filled
from apprentice.web.site import Site
from apprentice.web.words import address, page
from environments.episode import Ending, Episode, Split, Step
from environments.errors import UnknownNameError
from memory.bank.annotations import Annotation, AnnotationError, check
from memory.knowledge.items import Citation
from memory.knowledge.journal import USER
from memory.store.store import Filters

PAGE = 50
OTHERS = 12
"""Other attempts at a task that an episode's page leads to."""


def routes(site: Site) -> APIRouter:
    """Return the ways to the pages of episodes."""
    router = APIRouter(prefix="/episodes")

    @router.get("")
    def episodes(request: Request) -> HTMLResponse:
        return listing(site, dict(request.query_params))

    @router.get("/{id}")
    def episode(id: str) -> HTMLResponse:
        return read(site, site.store.get(id))

    @router.get("/{id}/beside/{other}")
    def beside(id: str, other: str) -> HTMLResponse:
        left, right = site.store.get(id), site.store.get(other)
        at = first_difference(left, right)
        pairs = list(zip_longest(left.steps, right.steps))
        return page(site, "beside.html", left=left, right=right, at=at, pairs=pairs)

    @router.post("/{id}/annotations")
    async def annotate(id: str, request: Request) -> Response:
        form = await filled(site.access, request)
        episode = site.store.get(id)
        said = replace(_said(form, site), episode=episode.id)
        check(said, episode)
        site.annotations.add(said)
        return done(f"/episodes/{episode.id}#annotations")

    return router


def listing(site: Site, asked: Mapping[str, str]) -> HTMLResponse:
    """Return a page of episodes that are asked for."""
    filters = filters_of(asked)
    words, run = asked.get("q", ""), asked.get("run", "")
    found = site.pages.episodes(
        words=words, limit=PAGE, before=asked.get("before") or None, **filters
    )
    query = {name: str(value or "") for name, value in filters.items()} | {"q": words}
    older = address("/episodes", **query, before=found.older) if found.older else None
    return page(
        site,
        "episodes.html",
        rows=found.rows,
        older=older,
        choices=site.pages.choices(),
        asked=query,
        run=run,
    )


def filters_of(asked: Mapping[str, str]) -> Filters:
    """Return which episodes are asked for.

    Raises:
        UnknownNameError: there is no such split or ending.
    """
    return Filters(
        environment=asked.get("environment") or None,
        kind=asked.get("kind") or None,
        policy=asked.get("policy") or None,
        run=asked.get("run") or None,
        split=_split(asked.get("split", "")),
        ending=_ending(asked.get("ending", "")),
    )


def read(site: Site, episode: Episode) -> HTMLResponse:
    """Return the page of one episode."""
    recalled = site.bank.recalled(episode.id)
    critiques = site.bank.critiques(episode.id)
    cited = defaultdict[int, list[Citation]](list)
    for critique in critiques:
        for citation in critique.citations:
            cited[citation.step].append(citation)
    others = site.pages.attempts(episode.task.id, episode.task.kind, limit=OTHERS)
    return page(
        site,
        "episode.html",
        episode=episode,
        logprob=logprob,
        critiques=critiques,
        cited=cited,
        recalled=recalled,
        derived=site.bank.derived(episode.id),
        annotations=site.annotations.of(episode.id),
        others=[row for row in others if row.id != episode.id],
    )


def logprob(step: Step) -> float | None:
    """Return the logprob of what the policy wrote in a step, in nats; None: it does not tell."""
    return sum(step.completion.logprobs) if step.completion.logprobs else None


def first_difference(left: Episode, right: Episode) -> int | None:
    """Return the first step, from 0, in which two episodes differ; None: they are the same."""
    for place, (mine, other) in enumerate(zip_longest(left.steps, right.steps)):
        if mine is None or other is None:
            return place
        if (mine.observation, mine.action) != (other.observation, other.action):
            return place
    return None


def _split(word: str) -> Split | None:
    if word and word not in list(Split):
        raise UnknownNameError("split", word, tuple(Split))
    return Split(word) if word else None


def _ending(word: str) -> Ending | None:
    if word and word not in list(Ending):
        raise UnknownNameError("ending", word, tuple(Ending))
    return Ending(word) if word else None


def _said(form: Mapping[str, str], site: Site) -> Annotation:
    score, step, action = (form.get(name, "") for name in ("score", "step", "action"))
    if any(word and not word.lstrip("-").isdecimal() for word in (score, step)):
        raise AnnotationError(f"score {score!r} and step {step!r} must be whole numbers")
    if score not in ("", "-1", "0", "1"):
        raise AnnotationError(f"score {score!r} is none of -1, 0 and 1")
    return Annotation(
        episode="",
        score=int(score) if score else None,
        step=int(step) if step else None,
        action=action or None,
        note=form.get("note", ""),
        by=USER,
        at=site.clock(),
    )
