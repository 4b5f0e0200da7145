"""How far a count has come, on standard error: a bar for a person, some lines for a log."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apprentice.terminal.terminal import SAID_EVERY_S, aside


@contextmanager
def counting(what: str, total: int) -> Generator[Callable[[], None]]:
    """Yield what is to be called after each of `total` things."""
    console = aside()
    if console.is_terminal:
        columns = (BarColumn(30), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            row = bar.add_task("", total=total)
            yield lambda: bar.advance(row)
        return
    done, said = 0, time.monotonic()

    def count() -> None:
        nonlocal done, said
        done += 1
        if time.monotonic() - said >= SAID_EVERY_S:
            said = time.monotonic()
            console.print(f"{done:,}/{total:,} {what}", soft_wrap=True)

    yield count
    console.print(f"{done:,}/{total:,} {what}", soft_wrap=True)
