import io
import json

import pytest
from rich.console import Console

from apprentice.terminal.report import wilson
from apprentice.terminal.terminal import Lines, Tally, inert, say_json, table


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _shown(renderable) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "hostile", ["\x1b[31mred", "\x07bell", "abc\u202edef", "\x9b2J", "a\rb", "zero\u200bwidth"]
)
def test_text_from_outside_cannot_act_on_the_terminal(hostile):
    shown = inert(hostile)
    assert "\\x" in shown
    assert all(c.isprintable() for c in shown)


def test_ordinary_text_stays_as_it_is():
    text = "Ein Ofen, 箱, naïve — 3 × 4\n\tdone ✓"
    assert inert(text) == text


def test_a_cell_is_never_read_as_markup():
    assert "[bold]x[/bold]" in _shown(table(["a"], [["[bold]x[/bold]"]]))


def test_json_is_one_value_a_line(capsys):
    say_json({"words": "größer\n"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"words": "größer\n"}


def test_plain_progress_tells_the_rate_and_the_time_left():
    clock = Clock()
    said = io.StringIO()
    tally = Tally(4, 1, clock)
    with Lines(tally, Console(file=said, width=100)) as lines:
        tally.episodes, tally.solved, tally.steps = 1, 1, 19
        clock.now = 10.0
        lines.step(None, None)
    assert said.getvalue().splitlines()[0] == (
        "2/4 episodes, 1 solved, 2.0 steps/s, about 20 s left"
    )


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson_interval_has_its_textbook_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)
