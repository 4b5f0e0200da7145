"""A training that goes on where it was killed, to the same bits: one folder a step, written whole.

A folder appears under its name only when it is complete, and every file in it is held to its
digest when it is read, so one cut in half is passed over for the one before. safetensors and JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safetensors.torch import load_file, save_file

from environments.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from distill.training.train import Training

KEPT = 2
"""Checkpoints kept: the last, and the one before in case the last is damaged."""

WEIGHTS, MOMENTS, STATE = "weights.safetensors", "moments.safetensors", "state.json"
STEM = "step-"


class UnlikeError(UserError, ValueError):
    """A checkpoint of another training than this one."""

    def __init__(self, folder: Path, what: str, kept: object, wanted: object) -> None:
        super().__init__(
            f"the checkpoint {str(folder)!r} has {what} {kept!r} and this training {wanted!r}; "
            f"train with the same settings, or into an empty folder"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What was found."""

    step: int
    note: Mapping[str, Any]  # what was saved with it
    damaged: tuple[str, ...]  # later checkpoints that were passed over


def save(folder: Path, training: Training, note: Mapping[str, Any] | None = None) -> Path:
    """Keep the training as it stands; return where.

    Args:
        folder: where this training's checkpoints are, and no other's.
        training: it is read only.
        note: what else is needed to go on (JSON), such as a position in the data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{STEM}{training.step:08d}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as scratch:
        written = Path(scratch) / "checkpoint"
        written.mkdir()
        save_file(_contiguous(training.student.copy()), written / WEIGHTS)
        save_file(_moments(training), written / MOMENTS)
        state = {
            "step": training.step,
            "trained": training.student.trained,
            "pace": asdict(training.pace),
            "note": dict(note or {}),
            "digests": {name: _digest(written / name) for name in (WEIGHTS, MOMENTS)},
        }
        (written / STATE).write_text(json.dumps(state, indent=2), encoding="utf-8")
        for file in written.iterdir():
            _sync(file)
        if target.exists():
            shutil.rmtree(target)
        written.rename(target)
    _sync(folder)
    for old in _kept(folder)[:-KEPT]:
        shutil.rmtree(old)
    return target


def resume(folder: Path, training: Training) -> Resumed | None:
    """Bring a training of the same settings to its last whole checkpoint; None: there is none.

    Raises:
        UnlikeError: the checkpoint was made with other settings.
    """
    damaged: list[str] = []
    for kept in reversed(_kept(folder)):
        state = _whole(kept)
        if state is None:
            damaged.append(kept.name)
            continue
        _same(kept, "trained", state["trained"], training.student.trained.value)
        _same(kept, "pace", state["pace"], json.loads(json.dumps(asdict(training.pace))))
        training.student.load(load_file(kept / WEIGHTS))
        _restore(training, load_file(kept / MOMENTS))
        training.step = state["step"]
        return Resumed(step=training.step, note=state["note"], damaged=tuple(damaged))
    return None


def _same(folder: Path, what: str, kept: object, wanted: object) -> None:
    if kept != wanted:
        raise UnlikeError(folder, what, kept, wanted)


def _moments(training: Training) -> dict[str, Tensor]:
    states = training.optimizer.state
    return {
        f"{name}/{moment}": value.detach()
        for name, weight in training.student.weights.items()
        for moment, value in cast("dict[str, Tensor]", states.get(weight, {})).items()
    }


def _restore(training: Training, moments: Mapping[str, Tensor]) -> None:
    for name, weight in training.student.weights.items():
        found = {
            key.rpartition("/")[2]: value.to(weight.device)
            for key, value in moments.items()
            if key.rpartition("/")[0] == name
        }
        training.optimizer.state[weight] = found


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{STEM}*"))


def _whole(folder: Path) -> dict[str, Any] | None:
    """Return the state of a checkpoint whose files are what they were; None: they are not."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        intact = all(_digest(folder / name) == said for name, said in state["digests"].items())
    except (OSError, ValueError, KeyError):
        return None
    return state if intact else None


def _digest(file: Path) -> str:
    digest = blake2b(digest_size=16)
    with file.open("rb") as stream:
        while piece := stream.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
