"""What a distillation is to learn from, and what came of it: two files, written whole.

An order names everything before anything is trained: the adapter to go on from, the attempts, the
critiques, the demonstrations, what people corrected, how far the model may judge itself, the seed.
So a job that was killed learns the same, whatever was stored or measured since, and what was
ordered once is not learned again. Episodes and memories are named, never copied: what is forgotten
is in no order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.models.adapters import Adapters
    from environments.environment import Environment
    from memory.bank.annotations import Annotations
    from memory.bank.bank import Bank
    from memory.store.store import Store

ORDERS = "distill"
"""The folder of orders in the home: one file each, and the checkpoints of those under way."""

STEM = "distilled-"
"""How the adapters of jobs are called, with a number; others name theirs otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be learned, and from where; all of it by name."""

    name: str  # of the adapter that comes of it
    base: str  # the model
    parent: str | None  # the adapter to go on from; None: the base
    environment: str
    preset: str
    settings: str  # JSON of how to learn, budgets included
    seed: int
    made: datetime
    attempts: tuple[str, ...] = ()  # ids of episodes
    critiques: tuple[str, ...] = ()  # ids of what was said of some of them
    demonstrations: tuple[str, ...] = ()  # ids of items
    walkthroughs: tuple[str, ...] = ()  # tasks that the environment shows how to solve
    walks: tuple[str, ...] = ()  # tasks in whose places to walk at random, to see what that solves
    canaries: tuple[str, ...] = ()  # tasks that are mastered
    corrections: tuple[str, ...] = ()  # ids of annotations: better actions that people named
    gaps: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """The ends of the measured gap by kind of task, of who goes on learning as its own judge."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"made": self.made.isoformat()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Order:
        read: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in told.items()
        }
        read["made"] = datetime.fromisoformat(told["made"])
        read["gaps"] = {kind: (low, high) for kind, (low, high) in told.get("gaps", {}).items()}
        return cls(**read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Where everything to learn from is."""

    store: Store
    bank: Bank
    annotations: Annotations
    environment: Environment
    adapters: Adapters
    orders: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was tried, what came of it, and what it cost."""

    name: str
    base: str
    parent: str | None
    preset: str
    attempts: int
    critiques: int
    demonstrations: int
    walkthroughs: int
    steps: int
    samples: int  # sequences learned from, each time they were
    tokens: int
    dropped: dict[str, int]
    remarks: tuple[str, ...]
    alarm: str | None  # why it was stopped; None: it was not
    spent: str | None  # which budget ended it; None: none did
    kept: bool  # False: it was stopped before anything good came of it, so there is no adapter
    seconds: float
    money: float
    adopted: bool | None = None  # None: nobody has examined it
    verdict: str = ""  # of the gate

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Report:
        read: dict[str, Any] = dict(told)
        read["remarks"] = tuple(told["remarks"])
        return cls(**read)


def ordered(folder: Path) -> Iterator[Order]:
    """Yield all orders that were written, in order of name."""
    for file in sorted(folder.glob("*.json")):
        yield Order.from_json(json.loads(file.read_text(encoding="utf-8")))


def write_order(folder: Path, order: Order) -> None:
    """Write an order down; from here on it is what will be learned."""
    _write(folder / f"{order.name}.json", order.to_json())


def write_report(library: Library, report: Report) -> None:
    """Write a report beside the adapter it is of, in place of an earlier one."""
    _write(_report_file(library.adapters, report.name), report.to_json())


def read_report(adapters: Adapters, name: str) -> Report | None:
    """Return the report of a distillation that is finished, or None."""
    file = _report_file(adapters, name)
    if not file.exists():
        return None
    report = Report.from_json(json.loads(file.read_text(encoding="utf-8")))
    return report if not report.kept or name in adapters.names() else None


def _report_file(adapters: Adapters, name: str) -> Path:
    return adapters.folder / f"{name}.report.json"


def _write(file: Path, told: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pending = file.with_name(f".{file.name}")
    text = json.dumps(told, indent=2, default=str, ensure_ascii=False)
    pending.write_text(text + "\n", encoding="utf-8")
    pending.replace(file)
