"""Weights under the name by which a server knows them: a new name for every version of them.

A server that is given new weights under an old name may go on with what it computed for the old
ones (vLLM's prefix cache is keyed by the name: vllm-project/vllm#42125). A name that holds a digest
of the weights can be loaded twice, by whomever, and always means the same.
"""

from dataclasses import dataclass
from pathlib import Path

from apprentice.settings.acting import VLLM, Acting
from distill.models.adapters import read_lineage, weights_digest
from distill.models.trained import Trained

DIGITS = 8
"""Hexadecimal ones of the digest in a name; two versions of an adapter share 32 bits by no chance
worth counting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    name: str  # by which it is asked for, and which every answer of it carries
    policy: str  # whose weights they are, as episodes name it
    served: str  # the name of what the server begins with
    begins: Path  # the folder that the server begins with
    lora: Path | None = None  # what is loaded beside it; None: it acts itself


def version_of(acting: Acting, base: Path) -> Version:
    """Return the weights of a policy as a server is to name them.

    A LoRA is loaded beside its base. Fully trained weights are a model of their own: one server
    begins with them, another one with the next.

    Args:
        acting: the model, and its adapter.
        base: the folder of the model.
    """
    model, folder = acting.model, acting.folder
    if folder is None:
        return Version(name=model, policy=f"{VLLM}:{model}", served=model, begins=base)
    name = f"{folder.name}-{weights_digest(folder)[:DIGITS]}"
    policy = f"{VLLM}:{model}@{folder.name}"
    if read_lineage(folder).trained is Trained.LORA:
        return Version(name=name, policy=policy, served=model, begins=base, lora=folder.absolute())
    return Version(name=name, policy=policy, served=name, begins=folder.absolute())
