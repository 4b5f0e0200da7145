"""Runs the real command line in a process of its own, as a user would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

APPRENTICE = Path(sys.executable).parent / "apprentice"


def environment(**extra: str) -> dict[str, str]:
    """Return this process's variables without any that would configure the command."""
    ours = ("APPRENTICE_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "COLUMNS": "160", **extra}


def several(many: int, **extra: str) -> list[dict[str, str]]:
    """Return the variables of processes that train together, as `accelerate launch` sets them."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    together = {"WORLD_SIZE": many, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    together |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": 1}
    return [
        environment(**{
            name: str(value)
            for name, value in {**together, "RANK": rank, "LOCAL_RANK": rank, **extra}.items()
        })
        for rank in range(many)
    ]  # fmt: skip


def apprentice(*args: object, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `apprentice ARGS` to its end."""
    return subprocess.run(
        [APPRENTICE, *map(str, args)],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(finished: subprocess.CompletedProcess[str]) -> str:
    """Return what a failed command said, which must be one line and no traceback."""
    assert finished.returncode not in (0, 1), finished.stderr
    said = [line for line in finished.stderr.splitlines() if line.startswith("apprentice: ")]
    assert len(said) == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stderr.rstrip().endswith(said[0])
    return said[0]
