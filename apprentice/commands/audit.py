"""`apprentice audit`: announce, begin, carry on and show an audit."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from apprentice.audits.conduct import (
    Audit,
    Work,
    carry_out,
    foretell,
    option_values,
    read_options,
)
from apprentice.audits.cost import Announced
from apprentice.build import make_home, now
from apprentice.commands.run import EXIT_INTERRUPTED, EXIT_STOPPED
from apprentice.findings.page import page
from apprentice.findings.place import Begun, Place, begin, keep_beside, to_resume
from apprentice.findings.report import Report, plain
from apprentice.findings.sample import exactly
from apprentice.settings.config import Config
from apprentice.settings.freezing import frozen_settings, thaw
from apprentice.terminal.terminal import aside, inert, out, say_json, table
from environments.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How an audit is to be gone about, whichever it is."""

    command: str  # that makes it
    dry_run: bool = False
    resume: bool = False
    id: str | None = None  # which to resume; None: the newest unfinished
    html: Path | None = None  # also write the page there
    beside: Path | None = None  # an adapter's folder: also keep the report there
    as_json: bool = False


class PageError(UserError, OSError):
    """The page cannot be written where it was wanted."""


class StoppedAuditError(UserError, RuntimeError):
    """An audit ended early; what was answered is kept."""

    def __init__(self, why: str, audit: str, place: Place, code: int) -> None:
        rest = f"apprentice audit {audit} --resume --id {place.folder.name}"
        super().__init__(f"{why}; what was answered is kept, go on with: {rest}")
        self.code = code


def audit(kind: Audit[Any], config: Config, options: object, ways: Ways) -> None:
    """Do an audit from its beginning, or on from where it was, and show what it found."""
    place = to_resume(config.home, kind.name, ways.id) if ways.resume else None
    if place is not None:
        config, options = thaw(place.begun.settings, config), read_options(kind, place.begun)
    else:
        config = exactly(config)
    announced = foretell(kind, config, options)
    if ways.dry_run:
        _foretold(kind.name, announced, as_json=ways.as_json)
        return
    if place is None:
        place = begin(make_home(config), _begun(kind, config, options, ways))
    aside().print(f"audit {place.folder.name}: {announced.words()}", soft_wrap=True)
    report = _finished(kind, config, options, place)
    if ways.beside is not None:
        keep_beside(report, ways.beside)
    show(report, place, ways)


def show(report: Report, place: Place, ways: Ways) -> None:
    """Print a report, and write its page where it is wanted."""
    if ways.html is not None:
        _write(ways.html, page(report))
    if ways.as_json:
        say_json(report.to_json())
        return
    console = out()
    for sentence in report.findings.verdict:
        console.print(Text(inert(sentence), style="bold"))
    for grid in report.findings.grids:
        console.print()
        console.print(Text(grid.title, style="dim"))
        console.print(table(grid.headings, grid.rows))
    console.print()
    for note in report.notes:
        console.print(Text(note, style="dim"))
    console.print(Text(f"the page: {ways.html or place.folder / 'report.html'}"))


def _foretold(name: str, announced: Announced, *, as_json: bool) -> None:
    if as_json:
        say_json({"audit": name, **plain(announced)})
    else:
        out().print(Text(announced.words()))


def _finished(kind: Audit[Any], config: Config, options: object, place: Place) -> Report:
    try:
        return carry_out(kind, Work(config=config, place=place), options)
    except KeyboardInterrupt:
        raise StoppedAuditError("interrupted", kind.name, place, EXIT_INTERRUPTED) from None
    except UserError as error:
        raise StoppedAuditError(str(error), kind.name, place, EXIT_STOPPED) from error


def _begun(kind: Audit[Any], config: Config, options: object, ways: Ways) -> Begun:
    at = now()
    return Begun(
        id=f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        audit=kind.name,
        command=ways.command,
        settings=frozen_settings(config),
        options=option_values(options),
        started=at,
    )


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PageError(f"cannot write {str(file)!r}: {error.strerror}; choose another") from None
