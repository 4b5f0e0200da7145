"""`apprentice store`: a store into another database, and what came of it."""

import time
from collections.abc import Callable
from pathlib import Path

from apprentice.build import STORE
from apprentice.terminal.terminal import SAID_EVERY_S, aside, out, say_json, table
from environments.errors import UserError
from memory.store.copying import copy as copy_store


class NoStoreError(UserError, LookupError):
    """There is no store to copy, or it would be copied onto itself."""


def copy(source: str, target: str, *, as_json: bool) -> None:
    """Copy a store, say how far it is, and tell the rows of each table in the end."""
    here, there = _place(source), _place(target)
    if isinstance(here, Path) and not here.is_file():
        raise NoStoreError(f"no store at {source!r}; name its file, its home or its URL")
    if here == there:
        raise NoStoreError(f"{source!r} would be copied onto itself; name another place")
    rows = copy_store(here, there, _saying(time.monotonic))
    if as_json:
        say_json(rows)
        return
    shown = {name: many for name, many in rows.items() if many}
    out().print(table(("table", "rows in both"), shown.items()))


def _place(given: str) -> str | Path:
    """Return what was meant: a URL, or the file of a store, which may be in a home."""
    if "://" in given:
        return given
    path = Path(given)
    return (path / STORE if path.is_dir() else path).absolute()


def _saying(clock: Callable[[], float]) -> Callable[[str, int, int], None]:
    """Return what says how far a table is: a line now and then, and one when it is done."""
    console = aside()
    said = [float("-inf")]

    def say(name: str, done: int, many: int) -> None:
        if done >= many or clock() - said[0] >= SAID_EVERY_S:
            said[0] = clock()
            console.print(f"{name}: {done:,} of {many:,}", soft_wrap=True)

    return say
