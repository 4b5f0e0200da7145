"""What works on this machine, in plain words, and what to do about the rest."""

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version

from apprentice.agreement import compare
from apprentice.build import make_bank, make_endpoint, make_environment, make_store
from apprentice.processor import features, multiplies_bfloat16
from apprentice.settings.acting import LOCAL, VLLM, Named, find_acting
from apprentice.settings.config import Config
from environments.episode import Split
from environments.errors import UserError
from environments.sandbox.bubblewrap import SandboxError
from environments.sandbox.sandbox import try_out
from memory.knowledge.items import Standing

ROOM_NEEDED_GB = 2.0
"""The default model made ready takes 0.3 GB and a store of 10^5 episodes about 0.5 GB."""


BODIES_READ = 1000
"""The newest episodes are read back whole: those are the ones that a crash could have hurt."""


class State(StrEnum):
    GOOD = "good"
    NOTE = "note"  # works, but could be better, or is not needed by default
    BAD = "bad"  # a command will fail


@dataclass(frozen=True, slots=True)
class Finding:
    topic: str
    state: State
    words: str  # what is, and unless all is well what to do


def examine(config: Config) -> Iterator[Finding]:
    """Yield one finding after the other, quick ones first."""
    yield Finding("python", State.GOOD, f"Python {platform.python_version()} on {sys.platform}")
    for topic, check in CHECKS.items():
        try:
            yield check(config)
        except UserError as error:
            yield Finding(topic, State.BAD, str(error))


def _processor(_config: Config) -> Finding:
    if not features() or multiplies_bfloat16():
        return Finding("processor", State.GOOD, "bfloat16 in hardware: the fast path of the model")
    words = "no bfloat16 in hardware: the local model uses float32 and is several times slower"
    return Finding("processor", State.NOTE, words)


def _libraries(_config: Config) -> Finding:
    names = ("torch", "transformers", "langgraph", "openai", "chromadb", "sentence-transformers")
    words = ", ".join(f"{name} {version(name)}" for name in names)
    return Finding("libraries", State.GOOD, words)


def _room(config: Config) -> Finding:
    place = config.home.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < ROOM_NEEDED_GB:
        words = (
            f"{free:.1f} GB free where {str(config.home)!r} is; {ROOM_NEEDED_GB:.0f} GB are safe"
        )
        return Finding("disk", State.BAD, f"{words}: free some, or use --home elsewhere")
    return Finding("disk", State.GOOD, f"{free:.0f} GB free")


def _store(config: Config) -> Finding:
    with make_store(config) as store:
        faults = store.integrity(newest=BODIES_READ)
        place = "the database of store.url" if config.store.url else repr(str(config.home))
        words = f"{store.count():,} episodes in {place}"
    if faults:
        return Finding("store", State.BAD, f"{words}; damaged: {faults[0]}; restore a backup")
    return Finding("store", State.GOOD, f"{words}, undamaged")


def _world(config: Config) -> Finding:
    environment = make_environment(config)
    counts = ", ".join(f"{len(environment.tasks(split))} {split}" for split in Split)
    return Finding("environment", State.GOOD, f"{environment.name}: tasks {counts}")


def _model(config: Config) -> Finding:
    named = Named.parse(config.policy.use)
    if named.kind != LOCAL:
        return Finding("model", State.NOTE, f"not needed: the policy is {config.policy.use}")
    from distill.models.models import resolve

    acting = find_acting(config, named)
    words = f"{acting.model} is ready in {resolve(acting.model, config.cache)}"
    return Finding("model", State.GOOD, f"{words}; acts with adapter {acting.adapter!r}")


def _endpoint(config: Config) -> Finding:
    kind, _, model = config.policy.use.partition(":")
    if kind == "openai":
        from agent.endpoints.chat import reach

        return Finding("endpoint", State.GOOD, reach(make_endpoint(config, model)))
    words = "not needed by default; for your own, set OPENAI_BASE_URL and --policy openai:MODEL"
    return Finding("endpoint", State.NOTE, words)


def _vllm(config: Config) -> Finding:
    from apprentice.vllm.found import find
    from apprentice.vllm.server import INSTALL, NoVllmError

    acts = Named.parse(config.policy.use).kind == VLLM
    if not (acts or config.vllm.url or config.vllm.python):
        return Finding("vllm", State.NOTE, f"not needed by default; for --policy vllm: {INSTALL}")
    try:
        return Finding("vllm", State.GOOD, find(config.vllm.python, config.vllm.url))
    except NoVllmError as error:
        return Finding("vllm", State.BAD if acts else State.NOTE, str(error))


def _index(config: Config) -> Finding:
    with make_bank(config) as bank:
        if not bank.count(standing=Standing.ACTIVE):
            words = f"nothing to find yet; Chroma {version('chromadb')} is here for the vectors"
            return Finding("index", State.GOOD, words)
    found = compare(config)
    return Finding("index", State.GOOD if found.found.good else State.BAD, found.words())


def _sandbox(_config: Config) -> Finding:
    try:
        try_out()
    except SandboxError as error:  # needed by some environments only
        return Finding("sandbox", State.NOTE, str(error))
    return Finding("sandbox", State.GOOD, "code of tasks runs shut in: no network, nothing to read")


CHECKS: dict[str, Callable[[Config], Finding]] = {
    "libraries": _libraries,
    "processor": _processor,
    "disk": _room,
    "store": _store,
    "environment": _world,
    "model": _model,
    "index": _index,
    "endpoint": _endpoint,
    "vllm": _vllm,
    "sandbox": _sandbox,
}
