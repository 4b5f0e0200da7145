"""A training as it goes on: in the terminal, and as curves for TensorBoard and Trackio."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from math import isfinite
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from apprentice.terminal.terminal import SAID_EVERY_S, aside, duration

if TYPE_CHECKING:
    from rich.console import Console

    from apprentice.settings.config import Config
    from distill.training.train import Progress, Watch

CURVES = "tensorboard"
"""The folder of curves in the home: `tensorboard --logdir .apprentice/tensorboard`."""


@contextmanager
def watched(config: Config, name: str) -> Generator[Watch]:
    """Yield what shows every step of a training, and keeps its curves under a name."""
    from distill.training.curves import curves, trackio_curves

    console = aside()
    project = config.distill.trackio
    with ExitStack() as opened:
        watches = [opened.enter_context(curves(config.home / CURVES / name))]
        if project:
            watches.append(opened.enter_context(trackio_curves(project, name)))
        shown = _bar(console) if console.is_terminal else _lines(console)
        watches.append(opened.enter_context(shown))

        def watch(progress: Progress) -> None:
            for each in watches:
                each(progress)

        yield watch


def words(progress: Progress) -> str:
    """Return one step in a line; what it had nothing to measure on is left out."""
    vitals = progress.vitals
    numbers = {
        "loss": (vitals.loss, ".3f"),
        "reward": (progress.reward, ".2f"),
        "entropy": (vitals.entropy, ".3f"),
        "KL": (vitals.kl, ".4f"),
    }
    of = "" if progress.of is None else f"/{progress.of}"
    told = [f"{name} {value:{form}}" for name, (value, form) in numbers.items() if isfinite(value)]
    if isfinite(progress.tokens_per_s):
        told.append(f"{progress.tokens_per_s:.0f} tokens/s")
    if progress.remaining_s is not None:
        told.append(f"about {duration(progress.remaining_s)} left")
    return ", ".join((f"step {progress.step}{of}", *told))


@contextmanager
def _bar(console: Console) -> Generator[Watch]:
    columns = (BarColumn(bar_width=30), TextColumn("{task.description}"))
    with Bars(*columns, console=console) as bars:
        row = bars.add_task("")

        def show(progress: Progress) -> None:
            bars.update(
                row, total=progress.of, completed=progress.step, description=words(progress)
            )

        yield show


@contextmanager
def _lines(console: Console) -> Generator[Watch]:
    said = [float("-inf")]

    def show(progress: Progress) -> None:
        last = progress.step == progress.of
        if last or time.monotonic() - said[0] >= SAID_EVERY_S:
            said[0] = time.monotonic()
            console.print(words(progress), soft_wrap=True)

    yield show
