"""Forks rounds of learning off a process that has loaded all libraries: a kill then meets work.

Reads the arguments of `apprentice` from standard input, a command a line, parted by tabs; writes
the process id of each when it has begun, and its exit status when it has ended.
"""

import os
import sys
from pathlib import Path

import sentence_transformers  # noqa: F401 - loaded before any fork

import apprentice.distilling.distilling
import apprentice.loop.round
import apprentice.terminal.watching  # noqa: F401 - likewise
from apprentice.cli import main


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _carry_out(line.rstrip("\n").split("\t"))
        print(child, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _carry_out(args: list[str]) -> None:
    """Be `apprentice ARGS`, and end with it."""
    log = Path(args[-1]).with_suffix(".log").open("a")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(log.fileno(), 2)
    sys.argv = ["apprentice", *args]
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # noqa: BLE001 - it is reported, as a process would
        log.write(repr(error))
        code = 1
    log.flush()
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    serve()
