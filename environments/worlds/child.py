"""A program of ours in a process of its own, asked and answering in lines of JSON.

For libraries that are not safe beside themselves in one process. Whatever happens to the program
comes out as one line: it died, it said no, it took too long. It ends with whoever asks.
"""

import json
import os
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import PIPE, Popen
from typing import IO, Any

from environments.worlds.stop import stop

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = "import sys; sys.path.append({root!r}); from {module} import main; main()"

ENVIRONMENT = ("/usr/bin/env", "PYTHONHASHSEED=0")
"""The same order of sets in every child: libraries that go through them make the same games."""

MOST_S = 120.0
"""Silence after which a child counts as stuck; making a game takes 2 to 10 s on a busy core."""

QUIET_S = 1.0
"""How long a child that is asked nothing more may tidy up before it is killed."""

CHUNK = 65_536  # bytes; a pipe holds as many
TOLD = 300  # characters of what a child complained of


class ChildError(RuntimeError):
    """A child died, refused or got stuck; the attempt that asked it is broken."""


class Child:
    """A running program. Used by one thread at a time."""

    def __init__(self, module: str, *arguments: str, most_s: float = MOST_S) -> None:
        """Start the function `main` of a module.

        Args:
            module: by its full path.
            arguments: of its command line.
            most_s: how long it may be silent when asked.
        """
        self._name = module.rpartition(".")[2]
        self._most_s = most_s
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_stop`
        program = PROGRAM.format(root=str(ROOT), module=module)
        self._process: Popen[bytes] = Popen(
            [*ENVIRONMENT, sys.executable, "-P", "-c", program, *arguments],
            stdin=PIPE,
            stdout=PIPE,
            stderr=self._complaints,
            bufsize=0,
        )
        self._unread = b""
        self.close = weakref.finalize(self, _stop, self._process, self._complaints)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        """Return what the program answers.

        Raises:
            ChildError: it gave none.
        """
        try:
            answer = json.loads(self._exchange(json.dumps(question).encode() + b"\n"))
        except OSError:  # its end of the pipe is gone
            raise ChildError(self._complaint("died")) from None
        if "error" in answer:
            raise ChildError(f"{self._name} cannot go on: {answer['error']}")
        return answer

    def _exchange(self, line: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise ChildError(f"{self._name} was ended")
        stdin.write(line)
        with DefaultSelector() as selector:
            selector.register(stdout, EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(self._most_s):
                    self._process.kill()
                    raise ChildError(self._complaint(f"was silent for {self._most_s:.0f} s"))
                chunk = os.read(stdout.fileno(), CHUNK)
                if not chunk:
                    raise ChildError(self._complaint("died"))
                self._unread += chunk
        answer, _, self._unread = self._unread.partition(b"\n")
        return answer

    def _complaint(self, what: str) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        why = f": {lines[-1][:TOLD]}" if lines else ""
        return f"{self._name} (process {self.pid}) {what}{why}"


def _stop(process: Popen[bytes], complaints: IO[bytes]) -> None:
    complaints.close()
    stop(process, QUIET_S)
