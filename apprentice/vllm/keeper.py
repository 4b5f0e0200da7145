"""Runs beside us: a server's parent, which ends it when whoever asked for it is gone.

A vLLM server is several processes that hold an accelerator. A killed owner can end none of them;
but its pipe closes, whatever killed it, and that is what the keeper waits for.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread

GRACE_S = 10.0
"""Between the request to end and the end: vLLM drops its requests and frees memory in about 3 s."""


def keep(command: Sequence[str]) -> int:
    """Run a command until it ends or our standard input does; return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    Thread(target=_end_with_owner, args=(process,), daemon=True).start()
    try:
        return process.wait()
    finally:
        _signal(process, signal.SIGKILL)  # what it started and left behind


def _end_with_owner(process: subprocess.Popen[bytes]) -> None:
    while os.read(sys.stdin.fileno(), 1):  # not by its buffer: that is locked while one waits
        continue  # nobody says anything
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, which)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
