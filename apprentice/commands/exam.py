"""`apprentice exam`: two contenders at the same tasks, and the command that does it again."""

import asyncio
import json
import secrets
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from apprentice.build import now
from apprentice.gate.exam import Comparison, Seat, Sheet, compare, exam_tasks, leave, seated
from apprentice.gate.gate import Bar, Gated, bar_of, gate
from apprentice.settings.config import PREFIX, Config
from apprentice.terminal.terminal import Tally, aside, out, progress, say_json, table
from environments.episode import Split
from memory.proof.proof import Verdict, sentence

UNTOLD = {
    "home", "cache", "policy.use", "seed", "endpoint.api_key", "store.url", "memory.chroma_token",
}  # fmt: skip
"""Settings that the command names by a flag, or that are places and secrets of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of an exam."""

    a: str
    b: str
    split: Split
    tasks: int | None  # None: all of the split
    level: float | None  # of a gate that stops as soon as it is decided; None: all tasks are played


def examine(config: Config, asked: Question, *, as_json: bool) -> None:
    """Let both play, and say who solved more."""
    name = f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    with seated(config, (asked.a, asked.b), salt=name) as (a, b):
        compared, gated = asyncio.run(_played(a, b, asked, bar_of(config)))
    again = command(config, asked)
    if as_json:
        say_json(plain(compared, gated.verdict if gated else None) | {"command": again})
        return
    show(compared, gated.verdict if gated else None)
    out().print(Text(f"the same again: {again}"), soft_wrap=True)


async def _played(a: Seat, b: Seat, asked: Question, bar: Bar) -> tuple[Comparison, Gated | None]:
    tasks = exam_tasks(a.rig, asked.split, asked.tasks)
    aside().print(Text(f"{a.name} and {b.name} play {len(tasks)} {asked.split} tasks"))
    try:
        with progress(Tally(2 * len(tasks), 0, time.monotonic)) as shown:
            if asked.level is None:
                return await compare(a, b, tasks, shown), None
            gated = await gate(a, b, tasks, bar=bar, level=asked.level, watcher=shown)
            return gated.compared, gated
    finally:
        await leave(a, b)


def show(compared: Comparison, verdict: Verdict | None = None) -> None:
    """Print a comparison for a person."""
    console = out()
    console.print(table_of(compared))
    console.print(Text(difference(compared)))
    for kind in compared.kinds:
        name = kind.a.answers[0].kind
        console.print(
            Text(f"  {name}: {kind.a.solved} and {kind.b.solved} of {len(kind.pairs)}", style="dim")
        )
    if verdict is not None:
        console.print(Text(sentence(verdict)))


def table_of(compared: Comparison) -> Table:
    """Return a table with a row for each contender."""
    headings = ("contender", "solved", "95 % interval", "mean steps", "prompt tokens")
    return table(headings, map(_cells, (compared.a, compared.b)))


def difference(compared: Comparison) -> str:
    """Return in one line what b gained."""
    interval = compared.interval
    return (
        f"difference {compared.difference:+.1%}, 95 % {interval.low:+.1%} to {interval.high:+.1%}; "
        f"{compared.wins} tasks won, {compared.losses} lost, McNemar p {compared.p:.3g}"
    )


def plain(compared: Comparison, verdict: Verdict | None = None) -> dict[str, Any]:
    """Return a comparison as JSON-like values."""
    interval = compared.interval
    told: dict[str, Any] = {
        "a": _plain(compared.a),
        "b": _plain(compared.b),
        "tasks": len(compared.pairs),
        "difference": compared.difference,
        "interval": [interval.low, interval.high],
        "wins": compared.wins,
        "losses": compared.losses,
        "p": compared.p,
        "kinds": {
            each.a.answers[0].kind: [each.a.solved, each.b.solved, len(each.pairs)]
            for each in compared.kinds
        },
    }
    return told if verdict is None else told | {"verdict": asdict(verdict)}


def command(config: Config, asked: Question) -> str:
    """Return the command that asks the same again, whatever file or variables are set then."""
    words = ["apprentice", "exam", "--a", asked.a, "--b", asked.b, "--split", asked.split]
    words += ["--seed", str(config.seed)]
    words += [] if asked.tasks is None else ["--tasks", str(asked.tasks)]
    words += [] if asked.level is None else ["--gate", str(asked.level)]
    told = sorted(_told(config, Config()).items())
    return shlex.join([f"{name}={value}" for name, value in told] + words)


def _told(config: BaseModel, usual: BaseModel, path: str = "") -> dict[str, str]:
    """Return each setting that is not as usual as the variable that sets it."""
    told: dict[str, str] = {}
    for name in type(config).model_fields:
        value, default, place = getattr(config, name), getattr(usual, name), f"{path}{name}"
        if place in UNTOLD or value == default:
            continue
        if isinstance(value, BaseModel):
            told |= _told(value, default, f"{place}.")
            continue
        written = json.dumps(value) if isinstance(value, Mapping) else str(value)
        told[PREFIX + place.replace(".", "__").upper()] = written
    return told


def _cells(sheet: Sheet) -> tuple[object, ...]:
    interval = sheet.interval
    return (
        sheet.name,
        f"{sheet.solved} of {len(sheet.answers)} ({sheet.share:.0%})",
        f"{interval.low:.0%} to {interval.high:.0%}",
        f"{sheet.mean_steps:.1f}",
        f"{sheet.prompt_tokens:.0f}",
    )


def _plain(sheet: Sheet) -> dict[str, Any]:
    interval = sheet.interval
    return {
        "name": sheet.name,
        "solved": sheet.solved,
        "share": sheet.share,
        "interval": [interval.low, interval.high],
        "mean_steps": sheet.mean_steps,
        "prompt_tokens": sheet.prompt_tokens,
        "episodes": [each.episode for each in sheet.answers],
    }
