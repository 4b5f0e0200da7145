"""Two kinds of picture as inline SVG: curves over an axis, and named values with their intervals.

Colors come from the page's own style, so that they suit a light and a dark screen.
"""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import ceil, floor, isfinite, log2, log10

from apprentice.findings.report import Bar, Chart, Curve, Dot, Whiskers
from apprentice.terminal.terminal import inert

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 44
COLORS = 6
"""Colors that the page defines; a further curve begins again."""

ROW = 26
"""Height of a named value."""

NAMES = 260
"""Width that names have beside whiskers."""

TICKS = 5

Place = Callable[[float], float]


def draw_chart(chart: Chart) -> str:
    """Return the curves with their intervals, axes and names."""
    dots = [dot for curve in chart.curves for dot in curve.dots if isfinite(dot.y)]
    if not dots:
        return "<p>Nothing to draw.</p>"
    ys = [end for dot in dots for end in (dot.y, dot.low, dot.high) if isfinite(end)]
    ys += [chart.level] if chart.level is not None else []
    xs = [dot.x for dot in dots]
    if chart.diagonal:
        xs, ys = [*xs, 0.0, 1.0], [*ys, 0.0, 1.0]
    low, high = _range(ys)
    across = _placed(xs, LEFT, WIDTH - RIGHT, doubling=chart.doubling)
    up = _scale(low, high, HEIGHT - BOTTOM, TOP)
    whole = all(float(x).is_integer() for x in xs)  # of runs and rounds there are no halves
    marks = sorted(set(xs)) if chart.doubling else _ticks(min(xs), max(xs), least=int(whole))
    parts = [*_frame(chart, across, up, (marks, _ticks(low, high)))]
    if chart.diagonal:
        parts.append(_line(across(0), up(0), across(1), up(1), 'class="axis"'))
    if chart.level is not None:
        y = up(chart.level)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, 'class="axis" stroke-dasharray="4 3"'))
    for place, curve in enumerate(chart.curves):
        parts += _curve(curve, place, across, up)
    return _svg(HEIGHT + 18 * len(chart.curves), parts, chart.title)


def draw_whiskers(whiskers: Whiskers) -> str:
    """Return the named values, one a line, each with its interval."""
    bars = [bar for bar in whiskers.bars if isfinite(bar.value)]
    if not bars:
        return "<p>Nothing to draw.</p>"
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if isfinite(end)]
    low, high = _range([*ends, whiskers.at])
    across = _scale(low, high, NAMES, WIDTH - RIGHT)
    bottom = TOP + ROW * len(bars)
    parts = [_line(across(whiskers.at), TOP, across(whiskers.at), bottom, 'class="axis"')]
    ticks = _ticks(low, high)
    parts += [_text(across(tick), bottom + 16, f"{tick:g}", "middle", dim=True) for tick in ticks]
    parts.append(_text((NAMES + WIDTH) / 2, bottom + 34, whiskers.across, "middle", dim=True))
    for place, bar in enumerate(bars):
        parts += _whisker(bar, TOP + ROW * (place + 0.5), across)
    return _svg(bottom + BOTTOM, parts, whiskers.title)


def _whisker(bar: Bar, y: float, across: Place) -> Iterator[str]:
    yield _text(NAMES - 10, y + 4, bar.name, "end")
    if isfinite(bar.low) and isfinite(bar.high):
        yield _line(across(bar.low), y, across(bar.high), y, 'stroke="var(--c0)" stroke-width="2"')
    yield f'<circle cx="{across(bar.value):.1f}" cy="{y:.1f}" r="4" fill="var(--c0)"/>'


def _curve(curve: Curve, place: int, across: Place, up: Place) -> Iterator[str]:
    color = f"var(--c{place % COLORS})"
    dots = [dot for dot in curve.dots if isfinite(dot.y)]
    if curve.joined and len(dots) > 1:
        points = " ".join(f"{across(dot.x):.1f},{up(dot.y):.1f}" for dot in dots)
        yield f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'
    for dot in dots:
        yield from _dot(dot, color, across, up)
    y = HEIGHT + 18 * place + 8
    yield f'<circle cx="{LEFT + 5}" cy="{y - 4}" r="4" fill="{color}"/>'
    yield _text(LEFT + 16, y, curve.name, "start")


def _dot(dot: Dot, color: str, across: Place, up: Place) -> Iterator[str]:
    x = across(dot.x)
    if dot.low < dot.high:
        yield _line(x, up(dot.low), x, up(dot.high), f'stroke="{color}" opacity="0.6"')
    yield f'<circle cx="{x:.1f}" cy="{up(dot.y):.1f}" r="3.5" fill="{color}"/>'


def _frame(
    chart: Chart, across: Place, up: Place, ticks: tuple[Sequence[float], Sequence[float]]
) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM
    yield f'<path d="M{LEFT},{TOP}V{bottom}H{WIDTH - RIGHT}" class="axis"/>'
    for tick in ticks[0]:
        yield _text(across(tick), bottom + 16, f"{tick:g}", "middle", dim=True)
    for tick in ticks[1]:
        yield _text(LEFT - 8, up(tick) + 4, f"{tick:g}", "end", dim=True)
    yield _text((LEFT + WIDTH) / 2, bottom + 34, chart.across, "middle", dim=True)
    yield _text(LEFT + 6, TOP + 10, chart.up, "start", dim=True)


def _placed(xs: Sequence[float], start: float, stop: float, *, doubling: bool) -> Place:
    if not doubling:
        return _scale(min(xs), max(xs), start, stop)
    inner = _scale(log2(min(xs)), log2(max(xs)), start + 10, stop - 10)
    return lambda value: inner(log2(value))


def _scale(low: float, high: float, start: float, stop: float) -> Place:
    width = (high - low) or 1.0
    return lambda value: start + (value - low) / width * (stop - start)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    room = (high - low) * 0.05
    return low - (room if low != 0 else 0), high + (room if high != 1 else 0)


def _ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Return round values within a range, about `TICKS` of them, so far apart at least."""
    if low == high:
        return [low]
    raw = (high - low) / TICKS
    unit = 10.0 ** floor(log10(raw))
    step = max(least, next(unit * each for each in (1, 2, 5, 10) if unit * each >= raw))
    return [round(step * i, 10) for i in range(ceil(low / step), floor(high / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _text(x: float, y: float, words: str, anchor: str, *, dim: bool = False) -> str:
    style = ' class="dim"' if dim else ""
    said = escape(inert(words))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{said}</text>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    said = escape(inert(title))
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" '
        f'aria-label="{said}">{"".join(parts)}</svg>'
    )
