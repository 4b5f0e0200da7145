"""Which policy a setting names: `random`, `openai:MODEL`, `local` or `vllm[:MODEL][@ADAPTER]`.

An adapter is one of ours by name, a folder by path, or `base` for none. What is left out is the
promoted adapter where it was made from this model; a run writes down which that was, so that it
goes on with the same weights after another was promoted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from environments.errors import UserError

if TYPE_CHECKING:
    from apprentice.settings.config import Config
    from distill.models.adapters import Adapters

ADAPTERS = "adapters"
"""The folder of adapters in the home."""

BASE = "base"
"""Written for no adapter."""

LOCAL = "local"
VLLM = "vllm"

LEARNERS = (LOCAL, VLLM)
"""Kinds of policies whose weights are ours, with adapters."""


class OtherBaseError(UserError, ValueError):
    """An adapter for another model than the one it should act on."""

    def __init__(self, adapter: str, base: str, model: str) -> None:
        super().__init__(
            f"adapter {adapter!r} was made from {base!r}, not from {model!r}; "
            f"use local:{base}@{adapter}"
        )


@dataclass(frozen=True, slots=True)
class Named:
    """A policy as a setting names it."""

    kind: str
    model: str = ""  # empty: the default one
    adapter: str = ""  # empty: the promoted one, if there is one for this model

    @classmethod
    def parse(cls, use: str) -> Named:
        """Return what is named; whether it exists is found out later.

        >>> Named.parse("local:smollm2-135m@walker")
        Named(kind='local', model='smollm2-135m', adapter='walker')
        """
        kind, _, rest = use.partition(":")
        kind = kind.partition("@")[0]
        if kind not in LEARNERS:
            return cls(use.partition(":")[0], rest)
        model, _, adapter = use.removeprefix(kind).removeprefix(":").partition("@")
        return cls(kind, model, adapter)

    def __str__(self) -> str:
        adapter = f"@{self.adapter}" if self.adapter else ""
        return f"{self.kind}:{self.model}{adapter}" if self.model else f"{self.kind}{adapter}"


@dataclass(frozen=True, slots=True)
class Acting:
    """A policy whose weights are ours, found."""

    kind: str
    model: str
    adapter: str  # its name, its path, or `BASE`
    folder: Path | None  # of the adapter; None: the model as it is

    @property
    def use(self) -> str:
        """Return the setting that names exactly this, whatever is promoted later."""
        return str(Named(self.kind, self.model, self.adapter))


def find_acting(config: Config, named: Named) -> Acting:
    """Return the model and the adapter that a local policy, or one on vLLM, acts with.

    Raises:
        UnknownNameError: there is no such adapter.
        OtherBaseError: it was not made from this model.
    """
    from distill.models.adapters import Adapters, read_lineage
    from distill.models.models import DEFAULT_MODEL

    kept = Adapters(config.home / ADAPTERS)
    wanted = named.adapter or _promoted(kept, named.model) or BASE
    if wanted == BASE:
        return Acting(named.kind, named.model or DEFAULT_MODEL, BASE, None)
    here = Path(wanted).expanduser()
    if "/" in wanted:
        wanted, folder = str(here.absolute()), here.absolute()
    else:
        folder = kept.path(wanted)
    lineage = read_lineage(folder)
    if named.model and named.model != lineage.base:
        raise OtherBaseError(wanted, lineage.base, named.model)
    return Acting(named.kind, lineage.base, wanted, folder)


def settled(config: Config) -> Config:
    """Return the settings with the policy named exactly, as they are written down for a run."""
    named = Named.parse(config.policy.use)
    if named.kind not in LEARNERS:
        return config
    actor = config.policy.model_copy(update={"use": find_acting(config, named).use})
    return config.model_copy(update={"policy": actor})


def _promoted(kept: Adapters, model: str) -> str | None:
    """Return the adapter that acts, if it was made from this model; without one: from any."""
    current = kept.current()
    if current is None or (model and kept.lineage(current).base != model):
        return None
    return current
