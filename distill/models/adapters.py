"""Trained weights as folders: who made them from what, which one acts, and the way back.

A LoRA is kept in PEFT's format. Fully trained weights are kept as a whole transformers model: their
difference from the base has full rank, and cutting it to a LoRA would promote a policy that no gate
examined. Either is an adapter here: a folder with weights, tokenizer, chat template and lineage.

Folders are written once and never changed. What acts is one small file that is replaced whole.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from distill.models.models import load_model, load_tokenizer, quietly
from distill.models.trained import Trained
from environments.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from distill.models.student import Student

LINEAGE, POINTER = "lineage.json", "current.json"
LORA_CONFIG, LORA_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
PACKAGES = ("torch", "transformers", "peft", "safetensors")

NO_NAMES = ("base",)
"""Names that mean something else where an adapter is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where an adapter comes from."""

    name: str
    base: str  # the model it was made from: a name that `distill.models.models.resolve` knows
    parent: str | None  # the adapter it goes on from; None: the base itself
    trained: Trained
    objective: str  # a preset's name
    episodes: tuple[str, ...]  # ids, demonstrations included
    seed: int
    made: datetime
    walkthroughs: tuple[str, ...] = ()  # tasks that the environment itself showed how to solve
    digest: str = ""  # of the base's weights; empty: not known
    versions: Mapping[str, str] = field(
        default_factory=lambda: {name: version(name) for name in PACKAGES}
    )


class AdapterExistsError(UserError, FileExistsError):
    """A name that is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"an adapter {name!r} exists and is never changed; choose another name")


class BadNameError(UserError, ValueError):
    """A name that cannot be one of a folder, or that means something else."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"an adapter cannot be called {name!r}: use letters, digits, dots, dashes and "
            f"underscores, and not {' or '.join(NO_NAMES)}"
        )


class NotAnAdapterError(UserError, LookupError):
    """A folder that is none of ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{str(folder)!r} is no adapter: it has no readable {LINEAGE}; "
            f"name a folder that `apprentice distill` made"
        )


class FullParentError(UserError, ValueError):
    """A LoRA that would stand beside weights which are not the base's."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"adapter {name!r} was fully trained, a LoRA can only go on from a LoRA or the base; "
            f"set distill.trained to 'full', or begin from @base"
        )


class NoWayBackError(UserError, LookupError):
    """Nothing was promoted before."""

    def __init__(self) -> None:
        super().__init__("no adapter acts, so there is none to roll back; promote one first")


class Adapters:
    """The adapters in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> tuple[str, ...]:
        """Return all of them, in order of name."""
        return tuple(sorted(file.parent.name for file in self.folder.glob(f"*/{LINEAGE}")))

    def path(self, name: str) -> Path:
        """Return the folder of an adapter.

        Raises:
            UnknownNameError: there is none of this name.
        """
        known = self.names()
        if name not in known:
            raise UnknownNameError("adapter", name, known)
        return self.folder / name

    def lineage(self, name: str) -> Lineage:
        """Return where an adapter comes from."""
        return read_lineage(self.path(name))

    def add(self, student: Student, tokenizer: PreTrainedTokenizerBase, lineage: Lineage) -> Path:
        """Keep the student's weights as they are now; return where.

        Raises:
            AdapterExistsError: the name is taken.
            BadNameError: it cannot be a name.
        """
        if lineage.name in NO_NAMES or not re.fullmatch(r"\w[\w.-]*", lineage.name):
            raise BadNameError(lineage.name)
        target = self.folder / lineage.name
        if target.exists():
            raise AdapterExistsError(lineage.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".writing-") as scratch:
            written = Path(scratch) / "adapter"
            written.mkdir()
            _write_weights(student, written, lineage.base)
            tokenizer.save_pretrained(written)
            told = asdict(lineage) | {"made": lineage.made.isoformat()}
            (written / LINEAGE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            written.rename(target)
        return target

    def current(self) -> str | None:
        """Return the name of the adapter that acts; None: the base model does."""
        history = self.promoted()
        return history[-1] if history else None

    def promoted(self) -> tuple[str, ...]:
        """Return what was promoted and not rolled back, oldest first; the last one acts."""
        pointer = self.folder / POINTER
        if not pointer.exists():
            return ()
        told = json.loads(pointer.read_text(encoding="utf-8"))
        return tuple(cast("list[str]", told["promoted"]))

    def promote(self, name: str) -> None:
        """Let an adapter act."""
        self._point([*self.promoted(), self.path(name).name])

    def roll_back(self) -> str | None:
        """Let the adapter act that acted before; return its name, or None for the base.

        Raises:
            NoWayBackError: it is the base that acts.
        """
        history = self.promoted()
        if not history:
            raise NoWayBackError
        self._point(history[:-1])
        return self.current()

    def blame(self, name: str) -> tuple[str, ...]:
        """Return the ids of all episodes that an adapter learned from, its ancestors' first."""
        lineage = self.lineage(name)
        before = self.blame(lineage.parent) if lineage.parent is not None else ()
        return tuple(dict.fromkeys((*before, *lineage.episodes)))

    def _point(self, history: Sequence[str]) -> None:
        pending = self.folder / f".{POINTER}"
        pending.write_text(json.dumps({"promoted": list(history)}) + "\n", encoding="utf-8")
        pending.replace(self.folder / POINTER)  # one rename: there is no moment in between


def read_lineage(folder: Path) -> Lineage:
    """Return where the adapter in a folder comes from.

    Raises:
        NotAnAdapterError: there is none in it.
    """
    try:
        told: Any = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
        told["trained"] = Trained(told["trained"])
        told["episodes"] = tuple(told["episodes"])
        told["walkthroughs"] = tuple(told["walkthroughs"])
        told["made"] = datetime.fromisoformat(told["made"])
        return Lineage(**told)
    except (OSError, ValueError, KeyError, TypeError):
        raise NotAnAdapterError(folder) from None


def load_student(  # noqa: PLR0913 - what a student is made of, each by its name
    folder: Path | None,
    base: Path,
    trained: Trained,
    *,
    dtype: torch.dtype,
    device: torch.device,
    rank: int = 16,
    checkpointing: bool = False,
) -> Student:
    """Return what goes on learning from an adapter, or from the base model.

    Args:
        folder: of the adapter; None: the base model begins.
        base: the folder of the base model.
        trained: a LoRA that goes on as full training is folded in first.
        dtype: to compute in.
        device: to compute on.
        rank: of a new LoRA; one that goes on keeps its own.
        checkpointing: a third slower, for much less memory.

    Raises:
        FullParentError: a fully trained adapter cannot go on as a LoRA.
    """
    from distill.models.student import Lora, Student

    lora = Lora(rank=rank, alpha=2 * rank)
    if folder is None:
        model = load_model(base, dtype, device)
    else:
        model = load_adapter(folder, base, dtype, device)
        config = _lora_config(folder)
        if config is None and trained is Trained.LORA:
            raise FullParentError(folder.name)
        if config is not None and trained is Trained.FULL:
            model = _merged(model)
        elif config is not None:
            lora = Lora(rank=config["r"], alpha=config["lora_alpha"])
    return Student(model, trained, lora=lora, checkpointing=checkpointing)


def load_adapter(
    folder: Path, base: Path, dtype: torch.dtype, device: torch.device
) -> PreTrainedModel:
    """Return the model of an adapter, ready to act or to be trained further."""
    config = _lora_config(folder)
    if config is None:
        return load_model(folder, dtype, device)
    from safetensors.torch import load_file

    from distill.models.student import Lora, add_lora

    model = load_model(base, dtype, device)
    add_lora(model, Lora(rank=config["r"], alpha=config["lora_alpha"]))
    kept = load_file(folder / LORA_WEIGHTS)
    named = {_unpeft(key): value for key, value in kept.items()}
    for name, parameter in model.named_parameters():
        if name in named:
            parameter.data.copy_(named.pop(name))
    if named:
        raise ValueError(f"{len(named)} weights of {str(folder)!r} have no place in this model")
    return model


def export(folder: Path, base: Path, target: Path, dtype: torch.dtype) -> Path:
    """Write an adapter as a whole model, for serving with anything that reads safetensors."""
    import torch

    model = load_adapter(folder, base, dtype, torch.device("cpu"))
    if _lora_config(folder) is not None:
        model = _merged(model)
    target.mkdir(parents=True, exist_ok=True)
    with quietly():
        model.save_pretrained(target)
    load_tokenizer(folder).save_pretrained(target)
    shutil.copy2(folder / LINEAGE, target / LINEAGE)
    return target


def weights_digest(folder: Path) -> str:
    """Return what tells the weights in a folder from any others."""
    digest = blake2b(digest_size=16)
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            while piece := stream.read(1 << 22):
                digest.update(piece)
    return digest.hexdigest()


def _lora_config(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a LoRA; None: the folder holds a whole model."""
    file = folder / LORA_CONFIG
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _write_weights(student: Student, folder: Path, base: str) -> None:
    if student.trained is Trained.FULL:
        with quietly():
            student.model.save_pretrained(folder)
        return
    from safetensors.torch import save_file

    named = {_peft(name): weight.detach().contiguous() for name, weight in student.weights.items()}
    save_file(named, folder / LORA_WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": student.lora.rank,
        "lora_alpha": student.lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in named}),
        "inference_mode": True,
    }
    (folder / LORA_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _peft(name: str) -> str:
    """Return the name under which PEFT keeps a weight of its layers."""
    return PEFT_PREFIX + name.replace(".default.", ".")


def _unpeft(key: str) -> str:
    return key.removeprefix(PEFT_PREFIX).replace(".weight", ".default.weight")


def _merged(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model without LoRA layers, their weights folded in as acting folds them in."""
    from distill.models.weights import dense

    for name, module in list(model.named_modules()):
        if not hasattr(module, "get_base_layer"):
            continue
        layer = cast("Any", module)
        plain = layer.get_base_layer()
        plain.weight.data.copy_(dense(layer))
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, plain)
    return model
