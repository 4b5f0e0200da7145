"""What a person reads in a terminal: tables, transcripts, progress; nothing in them can act.

Text that came from outside (observations, completions) is made inert before it is shown: control
characters and bidirectional overrides would otherwise move the cursor, recolour or reorder.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from environments.episode import Ending, Episode, Step

if TYPE_CHECKING:
    from agent.attempt import Attempt

SAID_EVERY_S = 5.0
"""Seconds between two plain progress lines: a log of an hour stays under 1,000 lines."""

PIPED_WIDTH = 2000
"""Columns where no terminal sets them: nothing is cut on its way into a file or another program."""

SHORT_ID = 8
"""Characters of an id in a listing; every command takes a beginning that only one id has."""

SHORT_COLUMN = 16
"""Columns of text up to this width are never cut: numbers, ids, names."""

COLORS = {
    Ending.SOLVED: "green",
    Ending.FAILED: "red",
    Ending.TRUNCATED: "yellow",
    Ending.BROKEN: "magenta",
}


def inert(text: str) -> str:
    r"""Return the text with everything that could act on a terminal spelled out.

    >>> inert("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c in "\n\t" or _harmless(c) else f"\\x{ord(c):02x}" for c in text)


def _harmless(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def out() -> Console:
    """Return the console for results."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, highlight=False, width=width)


def aside() -> Console:
    """Return the console for progress and remarks, which are not results."""
    return Console(file=sys.stderr, highlight=False)


def say_json(value: object) -> None:
    """Print one value as JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")


def table(headings: Sequence[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table whose cells are shown as they are, never read as markup.

    Where the terminal is narrow the long columns give way; short ones stay whole.
    """
    cells = [[cell if isinstance(cell, Text) else _cell(cell) for cell in row] for row in rows]
    drawn = Table(box=None, pad_edge=False)
    for heading, column in zip_longest(headings, zip(*cells, strict=True)):
        widest = max(len(heading), *(len(cell) for cell in column or ()), 0)
        drawn.add_column(heading, no_wrap=widest <= SHORT_COLUMN)
    for row in cells:
        drawn.add_row(*row)
    return drawn


def _cell(value: object) -> Text:
    return Text(inert(str(value)), no_wrap=True, overflow="ellipsis")


def ending(value: Ending) -> Text:
    """Return an ending in its color."""
    return Text(value.value, style=COLORS[value])


def tell(console: Console, number: int, step: Step) -> None:
    """Print one step: what was seen, and what was done about it."""
    console.print(Padding(Text(inert(step.observation)), (0, 0, 0, 4), expand=False))
    said = step.action if step.action is not None else f"{step.completion.text!r} (no action)"
    sure = sum(step.completion.logprobs)
    note = f"   logprob {sure:.2f}" if step.completion.logprobs else ""
    console.print(Text.assemble(f"{number:>3} ", (f"> {inert(said)}", "bold cyan"), (note, "dim")))


@dataclass(slots=True)
class Tally:
    """Counts of a run as it goes on."""

    total: int
    before: int  # episodes that were there when it began
    clock: Callable[[], float]  # seconds
    began: float = field(init=False)
    episodes: int = 0
    solved: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def done(self) -> int:
        return self.before + self.episodes

    @property
    def seconds(self) -> float:
        return max(self.clock() - self.began, 1e-9)

    def words(self) -> str:
        """Return the state in a few words."""
        left = (self.total - self.done) * self.seconds / self.episodes if self.episodes else None
        time = "" if left is None else f", about {duration(left)} left"
        rate = self.steps / self.seconds
        return f"{self.done}/{self.total} episodes, {self.solved} solved, {rate:.1f} steps/s{time}"


def duration(seconds: float) -> str:
    """Return a time in minutes and seconds.

    >>> duration(125.2)
    '2 min 05 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Lines:
    """Progress for a log file: a plain line now and then."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self.tally, self.console, self._said = tally, console, tally.began

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *exception: object) -> None:
        self.console.print(self.tally.words(), soft_wrap=True)

    def step(self, attempt: "Attempt", step: Step) -> None:
        self.tally.steps += 1
        if self.tally.clock() - self._said >= SAID_EVERY_S:
            self._said = self.tally.clock()
            self.console.print(self.tally.words(), soft_wrap=True)

    def episode(self, episode: Episode) -> None:
        self.tally.episodes += 1
        self.tally.solved += episode.solved


class Bar:
    """Progress for a person: one bar that moves."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self.tally, self.console = tally, console
        self._progress = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._row = self._progress.add_task("", total=tally.total, completed=tally.before)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def step(self, attempt: "Attempt", step: Step) -> None:
        self.tally.steps += 1
        self._show()

    def episode(self, episode: Episode) -> None:
        self.tally.episodes += 1
        self.tally.solved += episode.solved
        self._show()

    def _show(self) -> None:
        words = self.tally.words().split(", about")[0]
        self._progress.update(self._row, description=words, completed=self.tally.done)


def progress(tally: Tally) -> Bar | Lines:
    """Return a bar where standard error is a terminal, else plain lines."""
    console = aside()
    return Bar(tally, console) if console.is_terminal else Lines(tally, console)
