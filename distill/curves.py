"""The curves of a training where TensorBoard reads them; one that goes on continues its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from distill.train import Progress, Watch, scalars

if TYPE_CHECKING:
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter


@contextmanager
def curves(folder: Path) -> Generator[Watch]:
    """Yield a watch that writes into a folder, made with the first step.

    What a killed training wrote of steps that are taken again is not shown twice.
    """
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
