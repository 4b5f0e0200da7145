"""What the exam of a promoted adapter promised: kept beside it, to be held to.

One file an adapter, written after its trial whatever the outcome. The folder of the adapter itself
stays as it was made, but for its audits, which are kept in it.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

from pydantic import TypeAdapter

from apprentice.gate.gate import Gated
from apprentice.settings.acting import ADAPTERS
from apprentice.settings.config import Config
from apprentice.settings.freezing import acting_settings
from memory.proof.proof import Outcome

KEY_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """How an adapter did in its trial."""

    adapter: str
    incumbent: str  # the policy that it was compared with
    outcome: Outcome
    sentence: str  # the verdict in one line
    level: float  # chance of promoting it if it were no better
    solved: int  # tasks of the exam, its anchors included
    tasks: int
    low: float  # of the 95 % interval of the share solved
    high: float
    conditions: str  # under which it was examined; see `conditions`
    round: str  # that made the adapter; empty: a job did
    judged: datetime
    withdrawn: str = ""  # why it was rolled back; empty: it was not
    begun: Gated | None = None  # what was played, where more pairs have to decide; else None


_PROMISE = TypeAdapter(Promise)


def gate_file(config: Config, adapter: str) -> Path:
    """Return where the promise of an adapter is, or will be."""
    return config.home / ADAPTERS / f"{adapter}.gate.json"


def write_promise(config: Config, promise: Promise) -> None:
    """Write it whole or not at all."""
    file = gate_file(config, promise.adapter)
    pending = file.with_name(f".{file.name}")
    told = json.dumps(asdict(promise), default=datetime.isoformat, indent=2)
    pending.write_text(told + "\n", encoding="utf-8")
    pending.replace(file)


def read_promise(config: Config, adapter: str) -> Promise | None:
    """Return what the trial of an adapter promised, or None if it had none."""
    file = gate_file(config, adapter)
    return _PROMISE.validate_json(file.read_bytes()) if file.exists() else None


def left_open(config: Config, adapter: str, incumbent: str) -> Promise | None:
    """Return what was said of an adapter if its exam can go on now, or None.

    It was left undecided against who acts now, under the conditions of now.
    """
    promise = read_promise(config, adapter)
    if promise is None or promise.begun is None or promise.outcome is not Outcome.UNDECIDED:
        return None
    same = (promise.incumbent, promise.conditions) == (incumbent, conditions(config))
    return promise if same else None


def conditions(config: Config) -> str:
    """Return what tells conditions apart under which the same policy may do better or worse."""
    told = acting_settings(config, policy={"use", "width", "dtype"}, seed=True)
    return blake2b(told.encode(), digest_size=KEY_BYTES).hexdigest()
