"""Where audits are kept: a folder each, with what was asked, the answers as they come, the report.

An audit that was killed is one without a report: it goes on where it was, with the settings it
began with, and nothing that was answered is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from apprentice.findings.page import page
from apprentice.findings.report import Report
from environments.errors import UserError

AUDITS = "audits"
"""The folder of audits in the home."""

BEGUN, ANSWERS, REPORT, PAGE = "audit.json", "answers.jsonl", "report.json", "report.html"


class AuditError(UserError, LookupError):
    """An audit cannot begin, go on or be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What an audit was asked for, and by whom."""

    id: str
    audit: str
    command: str
    settings: str  # as `frozen_settings` keeps them
    options: Mapping[str, Any]  # of this audit, as JSON knows them
    started: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one audit."""

    folder: Path

    @property
    def begun(self) -> Begun:
        told: dict[str, Any] = json.loads((self.folder / BEGUN).read_text(encoding="utf-8"))
        told["started"] = datetime.fromisoformat(told["started"])
        return Begun(**told)

    @property
    def finished(self) -> bool:
        return (self.folder / REPORT).is_file()

    @property
    def report(self) -> dict[str, Any]:
        """Return what was found, as JSON knows it."""
        return json.loads((self.folder / REPORT).read_text(encoding="utf-8"))

    @property
    def answers(self) -> Path:
        """Return the file in which answers are kept as they come."""
        return self.folder / ANSWERS

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold the audit, so that no second process carries it on at the same time.

        Raises:
            AuditError: another process holds it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            name = self.folder.name
            raise AuditError(
                f"audit {name} is carried on by another process; wait for it"
            ) from None
        try:
            yield
        finally:
            lock.release()


def begin(home: Path, begun: Begun) -> Place:
    """Make the folder of a new audit."""
    folder = home / AUDITS / begun.id
    folder.mkdir(parents=True)
    told = asdict(begun) | {"started": begun.started.isoformat()}
    _write(folder / BEGUN, json.dumps(told, indent=2) + "\n")
    return Place(folder)


def keep(report: Report, folder: Path) -> None:
    """Write a report into a folder, as JSON and as a page; the JSON last, for it means done."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / PAGE, page(report))
    _write(folder / REPORT, json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")


def keep_beside(report: Report, adapter: Path) -> Path:
    """Keep a report beside an adapter: in `audits/AUDIT` of its folder; return where."""
    folder = adapter / AUDITS / report.made.audit
    keep(report, folder)
    return folder


def to_resume(home: Path, audit: str, id: str | None) -> Place:
    """Return the audit of this kind with this id, or the newest that is not finished.

    Raises:
        AuditError: there is none, or it is finished.
    """
    places = [place for place in newest_first(home) if place.begun.audit == audit]
    if id is not None:
        places = [place for place in places if place.folder.name.startswith(id)]
    left = [place for place in places if not place.finished]
    if not left:
        named = f"{audit} audit {id!r}" if id else f"{audit} audit"
        raise AuditError(f"no unfinished {named} to resume; begin one: apprentice audit {audit}")
    return left[0]


def newest_first(home: Path) -> Iterator[Place]:
    """Yield all audits in a home; their ids begin with the time."""
    for file in sorted((home / AUDITS).glob(f"*/{BEGUN}"), reverse=True):
        yield Place(file.parent)


def reports(home: Path, audit: str) -> Iterator[dict[str, Any]]:
    """Yield what finished audits of a kind found, newest first."""
    for place in newest_first(home):
        if place.finished and place.begun.audit == audit:
            yield place.report


def _write(file: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    pending = file.with_name(f".{file.name}")
    pending.write_text(text, encoding="utf-8")
    pending.replace(file)
