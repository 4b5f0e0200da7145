"""`apprentice adapters`: what was learned into weights, which of it acts, and where it is from."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.text import Text

from apprentice.build import make_home, make_store
from apprentice.gate.promises import Promise, read_promise
from apprentice.settings.acting import ADAPTERS, BASE
from apprentice.settings.config import Config
from apprentice.settings.orders import Report, read_report
from apprentice.terminal.terminal import SHORT_ID, duration, ending, inert, out, say_json, table
from distill.models.adapters import Adapters, Lineage
from environments.episode import Episode
from environments.errors import UserError
from memory.proof.proof import Outcome
from memory.store.errors import UnknownIdError
from memory.store.store import Store

CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's own, which knows every architecture; it is in no Python package."""


class UnprovenError(UserError, PermissionError):
    """An adapter that no gate let pass."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"adapter {name!r} {why}; compare it with `apprentice exam --gate 0.05`, "
            f"or promote it all the same with --unproven"
        )


class TargetError(UserError, OSError):
    """A folder that cannot be written."""


def list_adapters(config: Config, *, as_json: bool) -> None:
    """Print all adapters, oldest first."""
    kept = _kept(config)
    acting = kept.current()
    lineages = sorted(map(kept.lineage, kept.names()), key=lambda each: each.made)
    if as_json:
        say_json([_plain(config, each, acting) for each in lineages])
        return
    headings = ("adapter", "acts", "from", "trained", "preset", "episodes", "gate", "made")
    console = out()
    console.print(table(headings, (_cells(config, each, acting) for each in lineages)))
    if acting is None:
        console.print("no adapter is promoted: the base model acts")


def show(config: Config, name: str, *, as_json: bool) -> None:
    """Print where an adapter is from, what its training came to, and how it was judged."""
    kept = _kept(config)
    lineage = kept.lineage(name)
    report = read_report(kept, name)
    promise = read_promise(config, name)
    if as_json:
        told = _plain(config, lineage, kept.current()) | asdict(lineage)
        say_json(told | {"report": report.to_json() if report else None,
                         "trial": asdict(promise) if promise else None})  # fmt: skip
        return
    console = out()
    for line in _told(lineage, report, promise, acts=kept.current() == name):
        console.print(Text(inert(line)), soft_wrap=True)


def promote(config: Config, name: str, *, unproven: bool, as_json: bool) -> None:
    """Let an adapter act from now on; without a gate that let it pass only if `unproven`."""
    kept = _kept(config)
    kept.path(name)
    why = None if unproven else _unproven(read_promise(config, name))
    if why is not None:
        raise UnprovenError(name, why)
    if kept.current() != name:
        kept.promote(name)
    _say_acting(kept, as_json=as_json)


def roll_back(config: Config, *, as_json: bool) -> None:
    """Let act who acted before."""
    kept = _kept(config)
    kept.roll_back()
    _say_acting(kept, as_json=as_json)


def export(config: Config, name: str, to: Path, *, as_json: bool) -> None:
    """Write an adapter as one whole model, and as a GGUF where that can be done."""
    import torch

    from distill.models.adapters import export as write
    from distill.models.models import resolve

    kept = _kept(config)
    base = resolve(kept.lineage(name).base, config.cache)
    if to.exists() and any(to.iterdir()):
        raise TargetError(f"{str(to)!r} is not empty; name a folder that is, or a new one")
    try:
        write(kept.path(name), base, to, torch.bfloat16)
    except OSError as error:
        raise TargetError(f"cannot write {str(to)!r}: {error}; choose another folder") from None
    gguf, why = _gguf(to, to / f"{name}.gguf", name)
    if as_json:
        say_json({"adapter": name, "folder": str(to), "gguf": str(gguf) if gguf else None})
        return
    console = out()
    console.print(Text(f"{name} is written to {to}"), soft_wrap=True)
    console.print(Text(f"and to {gguf}" if gguf else why), soft_wrap=True)


def blame(config: Config, name: str, *, as_json: bool) -> None:
    """Print the episodes that an adapter and its ancestors learned from."""
    kept = _kept(config)
    line = list(_ancestry(kept, name))
    tasks = tuple(dict.fromkeys(task for each in line for task in each.walkthroughs))
    with make_store(config) as store:
        lived = {id: _stored(store, id) for id in kept.blame(name)}
    if as_json:
        episodes = [
            {"id": id, "forgotten": episode is None, "task": episode and episode.task.id}
            for id, episode in lived.items()
        ]
        say_json({"adapter": name, "episodes": episodes, "walkthroughs": tasks})
        return
    learned = {id: each.name for each in reversed(line) for id in each.episodes}
    headings = ("episode", "ended", "steps", "kind", "policy", "learned by")
    console = out()
    console.print(table(headings, (_lived(id, each, learned[id]) for id, each in lived.items())))
    if tasks:
        console.print(Text(inert(f"and {len(tasks)} walkthroughs: {', '.join(tasks)}")))


def _kept(config: Config) -> Adapters:
    return Adapters(make_home(config) / ADAPTERS)


def _ancestry(kept: Adapters, name: str) -> Iterator[Lineage]:
    """Yield the lineage of an adapter and of all it goes back to, its own first."""
    current: str | None = name
    while current is not None:
        lineage = kept.lineage(current)
        yield lineage
        current = lineage.parent


def _stored(store: Store, id: str) -> Episode | None:
    try:
        return store.get(id)
    except UnknownIdError:
        return None


def _lived(id: str, episode: Episode | None, by: str) -> Sequence[object]:
    if episode is None:
        return (id[:SHORT_ID], "forgotten", "", "", "", by)
    steps = len(episode.steps)
    return (id[:SHORT_ID], ending(episode.ending), steps, episode.task.kind, episode.policy, by)


def _cells(config: Config, lineage: Lineage, acting: str | None) -> Sequence[object]:
    return (
        lineage.name,
        "acts" if lineage.name == acting else "",
        lineage.parent or f"{lineage.base}@{BASE}",
        lineage.trained,
        lineage.objective,
        len(lineage.episodes) + len(lineage.walkthroughs),
        _judged(read_promise(config, lineage.name)),
        f"{lineage.made.astimezone():%m-%d %H:%M}",
    )


def _plain(config: Config, lineage: Lineage, acting: str | None) -> dict[str, Any]:
    promise = read_promise(config, lineage.name)
    return {
        "name": lineage.name,
        "acts": lineage.name == acting,
        "base": lineage.base,
        "parent": lineage.parent,
        "trained": lineage.trained,
        "preset": lineage.objective,
        "episodes": len(lineage.episodes),
        "walkthroughs": len(lineage.walkthroughs),
        "gate": promise.outcome if promise else None,
        "made": lineage.made,
    }


def _told(
    lineage: Lineage, report: Report | None, promise: Promise | None, *, acts: bool
) -> Iterator[str]:
    made = f"{lineage.made.astimezone():%Y-%m-%d %H:%M}"
    yield f"{lineage.name}  {'acts' if acts else 'does not act'}, made {made}"
    yield f"from {lineage.parent or 'the base'} of {lineage.base} ({lineage.digest or 'unknown'})"
    shown = len(lineage.walkthroughs)
    yield (
        f"{lineage.trained} training, {lineage.objective}, seed {lineage.seed}, "
        f"{len(lineage.episodes)} episodes and {shown} walkthroughs"
    )
    if report is not None:
        yield (
            f"{report.steps} steps, {report.samples} sequences, {report.tokens:,} tokens "
            f"in {duration(report.seconds)}" + (f"; {report.alarm}" if report.alarm else "")
        )
    yield f"trial: {promise.sentence if promise else 'none yet'}"
    yield ", ".join(f"{name} {number}" for name, number in lineage.versions.items())
    yield f"its episodes: apprentice adapters blame {lineage.name}"


def _judged(promise: Promise | None) -> str:
    if promise is None:
        return "not examined"
    return "withdrawn" if promise.withdrawn else promise.outcome.value


def _unproven(promise: Promise | None) -> str | None:
    """Return why an adapter is not proven, or None if it is."""
    if promise is None:
        return "was never examined"
    if promise.withdrawn:
        return f"was rolled back: {promise.withdrawn}"
    return None if promise.outcome is Outcome.PROMOTE else f"did not pass: {promise.sentence}"


def _say_acting(kept: Adapters, *, as_json: bool) -> None:
    acting = kept.current()
    if as_json:
        say_json({"acts": acting})
        return
    who = acting or "the base model"
    out().print(Text(inert(f"{who} acts from now on; runs that have begun end as they began")))


def _gguf(folder: Path, target: Path, name: str) -> tuple[Path | None, str]:
    """Write an exported model as a GGUF, by llama.cpp's converter where it is; or say why not."""
    converter = shutil.which(CONVERTER)
    if converter is not None:
        return _converted(converter, folder, target), ""
    from distill.models.gguf_export import NoGgufError, write_gguf

    try:
        return write_gguf(folder, target, name), ""
    except NoGgufError as error:
        return None, str(error)
    except OSError as error:
        raise TargetError(f"cannot write {str(target)!r}: {error}; free some space") from None


def _converted(converter: str, folder: Path, target: Path) -> Path:
    command = [sys.executable, converter, str(folder), "--outfile", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise TargetError(f"{CONVERTER} failed: {said}; the safetensors are in {str(folder)!r}")
    return target
