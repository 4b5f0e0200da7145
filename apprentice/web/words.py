"""From values to HTML: the templates, and how numbers, times and words of others are written.

Whatever a template prints is made inert and escaped, without its asking; only what was made here
as HTML (the pictures) is let through.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from apprentice.findings.report import Chart
from apprentice.findings.svg import draw_chart
from apprentice.terminal.terminal import duration, inert
from apprentice.terminal.wording import measured
from apprentice.web.site import Site

HERE = Path(__file__).parent
STATIC = HERE / "static"

SHORT_ID = 12
"""Characters of an episode's id in a listing."""


def page(site: Site, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page."""
    everywhere: dict[str, object] = {"edits": site.access.edits, "seal": site.access.seal}
    told = TEMPLATES.get_template(template).render({**everywhere, **values})
    return HTMLResponse(told, status)


def compile_templates() -> None:
    """Make all templates ready, so that nobody who asks for a page first waits for it."""
    for name in TEMPLATES.list_templates():
        TEMPLATES.get_template(name)


def address(path: str, **query: object) -> str:
    """Return an address; what is empty is left out of it.

    >>> address("/episodes", kind="heat", before=None)
    '/episodes?kind=heat'
    """
    given = {key: str(value) for key, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def picture(chart: Chart) -> Markup:
    """Return a chart as SVG, whose words are escaped where it is drawn."""
    return Markup(draw_chart(chart))


def _shown(value: object) -> object:
    """Return what is printed for a value: text of others cannot act, nor turn what follows it."""
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _when(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _short(id: str) -> str:
    return id[:SHORT_ID]


def _number(value: int) -> str:
    return f"{value:,}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _listed(facts: Mapping[str, object] | Iterable[object]) -> str:
    if isinstance(facts, Mapping):
        return ", ".join(f"{name} {value}" for name, value in facts.items())
    return ", ".join(map(str, facts))


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "when": _when,
        "share": _share,
        "listed": _listed,
        "measured": measured,
        "duration": duration,
        "short": _short,
        "number": _number,
    }
    found.filters.update(filters)
    known: dict[str, Any] = found.globals
    known["address"] = address
    return found


TEMPLATES = _environment()
