"""What every bench prints: a Markdown table of its figures, and with --json one object.

One shape for all of them, so that figures taken at two commits or on two machines can be compared
by a program, and a figure never travels without the command that made it.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Figure = float | int | str | None  # None: not measured in this run

ROOT = Path(__file__).resolve().parent.parent


def flags(description: str | None) -> ArgumentParser:
    """Return a parser that knows `--quick` and `--json FILE`; a bench adds its own flags."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="the same on less work: under 50 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser


def report(
    bench: str,
    figures: Mapping[str, Figure],
    *,
    json_path: Path | None = None,
    packages: Sequence[str] = (),
    argv: Sequence[str] | None = None,
) -> None:
    """Print the figures as a Markdown table and, if asked, write them as JSON.

    Args:
        bench: the module's name in this folder.
        figures: what was measured, by name; the unit is in the name.
        json_path: where the JSON object goes.
        packages: the distributions whose versions bear on the figures.
        argv: the flags of the run; those of this process unless given.
    """
    print(table(figures))
    if json_path is None:
        return
    command = shlex.join(
        ["python", "-m", f"bench.{bench}", *(sys.argv[1:] if argv is None else argv)]
    )
    record = {
        "bench": bench,
        "figures": dict(figures),
        "command": command,
        "commit": commit(),
        "versions": versions(packages),
        "machine": machine(),
    }
    json_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def table(figures: Mapping[str, Figure]) -> str:
    r"""Return a Markdown table, one row a figure.

    >>> print(table({"steps_per_s": 5012.345, "won": 12}))
    | figure | value |
    | --- | ---: |
    | steps_per_s | 5,012 |
    | won | 12 |
    """
    rows = [f"| {name} | {_spelled(value)} |" for name, value in figures.items()]
    return "\n".join(["| figure | value |", "| --- | ---: |", *rows])


def commit() -> str:
    """Return the commit of this checkout, marked `-dirty` where it has changes; else unknown."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of Python and of each package, `absent` where it is not installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def machine() -> dict[str, str | int]:
    """Return what of this machine bears on a timing."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _spelled(value: Figure) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
