"""The curves of a training, where TensorBoard or Trackio reads them.

One that was killed and goes on continues its own: what it wrote of steps that are taken again is
not shown twice.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING, Any

from distill.training.train import Progress, Watch, measured, scalars
from environments.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter


@contextmanager
def curves(folder: Path) -> Generator[Watch]:
    """Yield a watch that writes into a folder of TensorBoard's, made with the first step."""
    from torch.utils.tensorboard import SummaryWriter

    writers: list[SummaryWriter] = []

    def watch(progress: Progress) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder), purge_step=progress.step))
        scalars(writers[0])(progress)

    try:
        yield watch
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def trackio_curves(project: str, name: str) -> Generator[Watch]:
    """Yield a watch that writes a run of a project of Trackio's, where Trackio keeps them.

    Raises:
        UserError: Trackio is not installed.
    """
    trackio, storage = _trackio("trackio"), _trackio("trackio.sqlite_storage").SQLiteStorage
    with redirect_stdout(sys.stderr):  # it greets; what a command prints may be read as JSON
        run = trackio.init(project=project, name=name, resume="allow", embed=False)
    kept = storage.get_max_step_for_run(project, run=name)

    def watch(progress: Progress) -> None:
        if kept is None or progress.step > kept:
            run.log(measured(progress), step=progress.step)

    try:
        yield watch
    finally:
        with redirect_stdout(sys.stderr):
            trackio.finish()  # not of the run itself: it would be finished again at the end


def _trackio(module: str) -> Any:  # noqa: ANN401 - a package that need not be there
    try:
        return import_module(module)
    except ImportError as error:
        told = f"distill.trackio is set, but {error}; pip install '.[trackio]'"
        raise UserError(told) from error
