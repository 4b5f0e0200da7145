"""What an audit found, as values: who made it from what, its numbers, its tables and its pictures.

One value, so that the terminal, the JSON and the page cannot disagree.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime
from enum import Enum
from math import isfinite
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of words."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """A measured point with its interval in y; without one, the ends are y."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    dots: tuple[Dot, ...]
    joined: bool = True  # False: the dots stand by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture of curves over a common axis."""

    title: str
    across: str  # what x is
    up: str  # what y is
    curves: tuple[Curve, ...]
    doubling: bool = False  # x is spaced by its logarithm
    diagonal: bool = False  # where y equals x
    level: float | None = None  # a horizontal line to compare with


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Whiskers:
    """A picture of named values with their intervals, one a line, against a line at `at`."""

    title: str
    across: str
    bars: tuple[Bar, ...]
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How a report came to be: enough to make it again."""

    audit: str
    id: str
    command: str
    settings: str  # under which it ran, as JSON: a command alone does not tell variables and files
    at: datetime
    models: Mapping[str, str]  # by their part: policy, judge
    seed: int
    samples: Mapping[str, int]  # what was counted, by name
    cost: Mapping[str, float]  # what it took, and what was announced


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one audit found, whoever asked for it."""

    verdict: tuple[str, ...]  # sentences, the most important first
    models: Mapping[str, str]
    samples: Mapping[str, int]
    figures: Mapping[str, Any]  # all numbers, for programs
    grids: tuple[Grid, ...] = ()
    pictures: tuple[Chart | Whiskers, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    made: Made
    findings: Findings
    notes: tuple[str, ...] = field(default=())  # what a reader must know to read it rightly

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON knows it; what is not a number is null."""
        made, found = self.made, self.findings
        return {
            "audit": made.audit,
            "id": made.id,
            "command": made.command,
            "settings": json.loads(made.settings),
            "at": made.at.isoformat(),
            "models": dict(made.models),
            "seed": made.seed,
            "samples": dict(made.samples),
            "cost": plain(made.cost),
            "verdict": list(found.verdict),
            "notes": list(self.notes),
            "figures": plain(found.figures),
        }


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return a value as JSON knows it; NaN and infinities become null.

    >>> plain({"a": (1.5, float("nan")), "b": None})
    {'a': [1.5, None], 'b': None}
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        told = cast("Mapping[object, object]", value)
        return {str(plain(key)): plain(each) for key, each in told.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in cast("Sequence[object]", value)]
    return value


def percent(value: float | None) -> str:
    """Return a share in words; a dash where there is none."""
    return "-" if value is None or not isfinite(value) else f"{value:.1%}"


def signed(value: float | None) -> str:
    """Return a difference in words; a dash where there is none."""
    return "-" if value is None or not isfinite(value) else f"{value:+.3f}"


def between(low: float, high: float) -> str:
    """Return an interval of differences in words."""
    return f"{signed(low)} to {signed(high)}"
