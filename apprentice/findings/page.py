"""A report as one page that needs nothing else: no script, no font, no picture from elsewhere.

Everything that came from outside is escaped, and the page forbids itself to load or run anything.
"""

from collections.abc import Mapping
from html import escape

from apprentice.findings.report import Chart, Grid, Report, Whiskers
from apprentice.findings.svg import draw_chart, draw_whiskers
from apprentice.terminal.terminal import inert

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load: its own styles and nothing else (Content Security Policy)."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1f; --dim: #62676e; --line: #d5d8dc; --page: #fff;
  --c0: #1f6fb4; --c1: #c4520a; --c2: #2f8542; --c3: #8a4bab; --c4: #b3261e; --c5: #5f6b7a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9eb; --dim: #9aa0a8; --line: #3a3f45;
  --page: #16181b; --c0: #6cb2ee; --c1: #f2924e; --c2: #6cc682; --c3: #c792e6; --c4: #f2766d;
  --c5: #a3adb9; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
code { background: color-mix(in srgb, var(--line) 40%, transparent); padding: .1em .3em;
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid var(--line); white-space: nowrap; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 500; } dt { color: var(--dim); } dd { margin: 0 0 .4rem; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui; }
svg .dim { fill: var(--dim); } svg .axis { stroke: var(--line); fill: none; }
li.first { font-weight: 600; }
"""


def page(report: Report) -> str:
    """Return the report as HTML."""
    made = report.made
    title = f"audit {made.audit}: {made.models.get('policy', '')}"
    sentences = report.findings.verdict
    first = f'<li class="first">{_said(sentences[0])}</li>' if sentences else ""
    rest = "".join(f"<li>{_said(each)}</li>" for each in (*sentences[1:], *report.notes))
    parts = [
        f"<h1>{_said(title)}</h1>",
        f"<ul>{first}{rest}</ul>",
        *(_picture(each) for each in report.findings.pictures),
        *(_grid(each) for each in report.findings.grids),
        _made(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_said(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _said(text: str) -> str:
    return escape(inert(text))


def _picture(picture: Chart | Whiskers) -> str:
    drawn = draw_chart(picture) if isinstance(picture, Chart) else draw_whiskers(picture)
    return f"<h2>{_said(picture.title)}</h2>\n{drawn}"


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{_said(each)}</th>" for each in grid.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_said(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<h2>{_said(grid.title)}</h2>\n<div class="wide">{table}</div>'


def _made(report: Report) -> str:
    made = report.made
    facts = {
        "command": f"<code>{_said(made.command)}</code>",
        "made": _said(f"{made.at:%Y-%m-%d %H:%M} UTC, audit {made.id}"),
        "models": _said(_listed(made.models)),
        "seed": _said(str(made.seed)),
        "samples": _said(_listed(made.samples)),
        "cost": _said(_listed({name: f"{value:g}" for name, value in made.cost.items()})),
    }
    told = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in facts.items())
    settings = f"<details><summary>settings</summary><code>{_said(made.settings)}</code></details>"
    return f"<h2>How this was made</h2>\n<dl>{told}</dl>\n{settings}"


def _listed(facts: Mapping[str, object]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in facts.items())
