"""Watch a shut-in process to its end: take what it says, and stop it when it uses too much.

What the kernel bounds for each process alone (memory) or not at all (output, time on the wall) is
bounded here, from outside, where the code cannot reach.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import Popen, TimeoutExpired
from time import monotonic

from environments.sandbox.limits import Limits

TICK_S = 0.05
"""Between two looks at memory and time: new memory comes at about 1 GB a second and core."""

DRAIN_S = 5.0
"""How long a killed run may take to be gone; the kernel needs milliseconds."""

CHUNK = 65_536  # bytes; a pipe holds as many
SIGNALLED = 128
"""A code above is this plus the number of the signal that ended the program (bwrap, shells)."""

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 2**20


class Verdict(StrEnum):
    """How a run ended."""

    FINISHED = "finished"  # by itself; its code says how
    KILLED = "killed"  # by a signal, such as the kernel's for too much processor time
    TIME = "time"  # stopped: it took too long
    MEMORY = "memory"  # stopped: its processes together took too much
    OUTPUT = "output"  # stopped: it said too much


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    code: int | None  # its exit code; None: it was stopped or killed
    output: bytes  # standard output, as far as the limit
    errors: bytes  # standard error, as far as the limit


def supervise(process: Popen[bytes], limits: Limits) -> Outcome:
    """Return how the process ended; when this returns, it and all its children are gone."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    verdict = _watch(process, limits, said)
    if verdict is not None:
        process.kill()
        _drain(process, said)
    output, errors = (bytes(each[: limits.output_bytes]) for each in said.values())
    code = process.wait()
    if verdict is None and not 0 <= code <= SIGNALLED:
        verdict = Verdict.KILLED
    if verdict is not None:
        return Outcome(verdict, None, output, errors)
    return Outcome(Verdict.FINISHED, code, output, errors)


def _watch(process: Popen[bytes], limits: Limits, said: dict[int, bytearray]) -> Verdict | None:
    """Read until the process is gone (None) or must go (why)."""
    deadline = monotonic() + limits.seconds
    looked = monotonic()
    with DefaultSelector() as selector:
        for fd in said:
            selector.register(fd, EVENT_READ)
        while selector.get_map() or process.poll() is None:
            _read(process, selector, said)
            if any(len(each) > limits.output_bytes for each in said.values()):
                return Verdict.OUTPUT
            if monotonic() > deadline:
                return Verdict.TIME
            if monotonic() - looked > TICK_S:
                looked = monotonic()
                if sum(resident(process.pid)) > limits.memory_mb * MEGABYTE:
                    return Verdict.MEMORY
    return None


def _read(process: Popen[bytes], selector: DefaultSelector, said: dict[int, bytearray]) -> None:
    if not selector.get_map():  # it said its last word and goes on
        with suppress(TimeoutExpired):
            process.wait(TICK_S)
        return
    for key, _ in selector.select(TICK_S):
        chunk = os.read(key.fd, CHUNK)
        said[key.fd] += chunk
        if not chunk:
            selector.unregister(key.fd)


def _drain(process: Popen[bytes], said: dict[int, bytearray]) -> None:
    """Read until nobody is left who could write, so that nothing runs on unseen."""
    deadline = monotonic() + DRAIN_S
    with DefaultSelector() as selector:
        for fd in said:
            selector.register(fd, EVENT_READ)
        while selector.get_map() and monotonic() < deadline:
            for key, _ in selector.select(TICK_S):
                if not os.read(key.fd, CHUNK):
                    selector.unregister(key.fd)
    process.wait(DRAIN_S)


def resident(pid: int) -> Iterator[int]:
    """Give the bytes in memory of a process and of all that descend from it."""
    folder = PROC / str(pid)
    with suppress(OSError, IndexError):  # it may end while one looks
        yield int((folder / "statm").read_text().split()[1]) * PAGE
        for thread in (folder / "task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from resident(int(child))
