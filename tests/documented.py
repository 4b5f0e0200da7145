"""The commands that the documentation tells one to type, with what is said of carrying them out.

A command stands in an indented block. `<!-- not run: WHY -->` above a block says that a test cannot
carry it out, `<!-- serves -->` that it goes on until it is stopped.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from typer import main as typer
from typer._click.exceptions import MissingParameter

from apprentice.cli import app
from docs.tree import ROOT

NOT_RUN, SERVES = "not run", "serves"

_MARK = re.compile(r"^<!-- (not run: .+|serves) -->$")
_COMMAND = re.compile(
    r"^    ((?:[A-Z_]+=\S+ )*(?:apprentice|python|pip|make|curl|export|trackio)\b.*)"
)
_FILE = re.compile(r"[Ss]ave as `([\w./-]+)`:$")
_ENDS = ("&&", "|", ">", ">>", "2>>", ";")


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of a page."""

    words: str
    mark: str  # why it is not run, or that it serves; empty: it ends by itself


def pages() -> list[Path]:
    return sorted((ROOT / "docs").glob("*.md"))


def typed(page: Path) -> Iterator[Typed]:
    """Yield the commands of a page, in their order."""
    mark, fenced = "", False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if found := _MARK.match(line):
            mark = found[1]
        elif line.strip() and not line.startswith("    "):
            mark = ""
        elif (found := _COMMAND.match(line)) and not fenced:
            yield Typed(found[1], mark)


def files(page: Path) -> dict[str, str]:
    """Return the files that a page tells one to save: a sentence with the name, then the words."""
    saved: dict[str, str] = {}
    name, fenced = "", False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
            name = name if fenced else ""
        elif fenced and name:
            saved[name] = saved.get(name, "") + f"{line}\n"
        elif line and not fenced:
            found = _FILE.search(line)
            name = found[1] if found else ""
    return saved


def mentioned(page: Path) -> list[tuple[str, bool]]:
    """Return every call of `apprentice` on a page, and whether it is whole.

    In a block it is; in the middle of a sentence its arguments may be left out.
    """
    outside = page.read_text(encoding="utf-8").split("\n```")[::2]
    calls: list[tuple[str, bool]] = []
    for line in "\n".join(outside).splitlines():
        in_block = line.startswith("    ")
        call = (
            r"(?:^|\s)((?:\S*/)?apprentice [a-z].*)$" if in_block else r"`(apprentice [a-z][^`]*)`"
        )
        calls += [(words, in_block) for words in re.findall(call, line)]
    return calls


@cache
def commands() -> Any:
    """Return the whole command line, which takes a while to put together."""
    return typer.get_command(app)


def parse(call: str, *, whole: bool = True) -> None:
    """Do nothing if the command line knows this call, with all its flags and their values.

    Raises:
        LookupError: there is no such command.
        click's UsageError: it does not take these flags, or not with these values.
    """
    words = shlex.split(call, comments=True)[1:]
    ends = [place for place, word in enumerate(words) if word in _ENDS]
    words = words[: ends[0]] if ends else words
    command, name = commands(), "apprentice"
    while hasattr(command, "commands") and words:
        name, *words = words
        if name not in command.commands:
            raise LookupError(f"No such command: {name}")
        command = command.commands[name]
    if words != ["--help"] and not hasattr(command, "commands"):
        try:
            command.make_context(name, [*words])
        except MissingParameter:
            if whole:
                raise
