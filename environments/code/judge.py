"""Runs inside the sandbox: judges a program that must not know, see or forge its judgment.

Given as source to an interpreter there, so it imports nothing of ours. The program runs in a child
that was born before the tests were read; what it returns comes back as text and is read as plain
values, so no clever object can pretend to be equal to what was wanted. The report carries a
number that only the reader of the tests knows.
"""

import ast
import json
import os
import random
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

LONGEST_ANSWER = 2**20  # bytes of one returned value
LONGEST_FAULT = 300  # characters: enough for a message, and a transcript stays short
TOO_LATE = "it did not return in time"
PROGRAM = "<program>"
WIDTH = 12  # digits before each part of what is given: its length


class ProgramError(Exception):
    """What the program did wrong, in words for whoever wrote it."""


class TooLateError(ProgramError):
    """The program did not answer in time, or is gone; it will not answer again."""


class Worker:
    """The program in a process of its own: called with plain values, answers with plain values."""

    def __init__(self, program: dict[str, Any]) -> None:
        calls, self._calls = os.pipe()
        self._answers, answers = os.pipe()
        self._rest = b""
        self._ended = False
        self.deadline = float("inf")
        self._pid = os.fork()
        if self._pid == 0:
            # Processor time: what a program takes, however busy the machine is.
            seconds = program["cpu_seconds"]
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            os.close(self._calls)
            os.close(self._answers)
            serve(program, calls, answers)
        os.close(calls)
        os.close(answers)

    def __call__(self, *args: object, **named: object) -> object:
        """Return what the program returns.

        Raises:
            ProgramError: it raised, or returned something that is no plain value.
        """
        try:
            os.write(self._calls, repr((args, named)).encode() + b"\n")
        except OSError:
            raise TooLateError(self._end()) from None
        return self.answer()

    def answer(self) -> object:
        """Return the next value that the program sends."""
        line = self._line()
        try:
            good, value = ast.literal_eval(line.decode())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ProgramError("it returned something that is no plain value") from None
        if good is not True:
            raise ProgramError(str(value)[:LONGEST_FAULT])
        return value

    def stop(self) -> None:
        if not self._ended:
            os.kill(self._pid, signal.SIGKILL)

    def _end(self) -> str:
        """Return why the program is gone."""
        self._ended = True
        status = os.waitpid(self._pid, 0)[1]
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return TOO_LATE if late else "the program ended itself"

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise TooLateError(TOO_LATE)
            chunk = os.read(self._answers, 65536)
            if not chunk:
                raise TooLateError(self._end())
            self._rest += chunk
            if len(self._rest) > LONGEST_ANSWER:
                raise TooLateError("it returned too much")
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def serve(program: dict[str, Any], calls: int, answers: int) -> NoReturn:
    """Be the program: load it, then answer calls until there are no more."""
    os.close(0)  # the tests come later on this file
    os.dup2(2, 1)  # what it prints is no judgment
    names: dict[str, Any] = {"__name__": "program"}

    def send(make: Callable[[], object]) -> None:
        try:
            answer: tuple[bool, object] = True, make()
        except SyntaxError as error:
            answer = False, f"SyntaxError: {error.msg} (line {error.lineno})"
        except BaseException as error:  # noqa: BLE001 - a program may raise anything
            answer = False, fault_of(error)
        sys.stdout.flush()  # it may be stopped at any time, and what it printed may explain why
        os.write(answers, repr(answer).replace("\n", " ").encode() + b"\n")

    send(lambda: load(program, names))
    with os.fdopen(calls) as lines:
        for line in lines:
            args, named = ast.literal_eval(line)
            send(lambda args=args, named=named: names[program["entry"]](*args, **named))
    os._exit(0)


def load(program: dict[str, Any], names: dict[str, Any]) -> None:
    exec(program["prelude"], names)
    exec(compile(program["source"], PROGRAM, "exec"), names)


def fault_of(error: BaseException) -> str:
    """Return what was raised, and the last line of the program on the way there."""
    words = "".join(traceback.format_exception_only(type(error), error)).strip()
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == PROGRAM
    ]
    return f"{words} (line {lines[-1]})" if lines else words


def examine(worker: Worker, tests: dict[str, Any]) -> dict[str, Any]:
    """Return the report: does it load, what do the visible tests say, do the hidden ones pass."""
    worker.deadline = time.monotonic() + tests["seconds"]
    report: dict[str, Any] = {"fault": None, "visible": [], "solved": False}
    names: dict[str, Any] = {"__name__": "tests"}
    try:
        worker.answer()
    except ProgramError as error:
        report["fault"] = str(error)
        return report
    exec(tests["prelude"], names)
    names |= {"candidate": worker, tests["entry"]: worker}  # some tests call it by its own name
    for test in tests["visible"]:
        try:
            report["visible"].append(fault_in(test, names))
        except TooLateError as error:
            report["visible"].append(str(error))
            return report
    if not any(report["visible"]):
        report["solved"] = passes(tests["hidden"], worker, names)
    return report


def fault_in(test: str, names: dict[str, Any]) -> str:
    """Return what is wrong about one visible test, empty if it passes."""
    try:
        match ast.parse(test, mode="eval").body:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                given, wanted = (value_of(each, names) for each in (left, right))
                return "" if given == wanted else f"gave {given!r}"[:LONGEST_FAULT]
            case whole:
                return "" if value_of(whole, names) else "is not so"
    except TooLateError:
        raise
    except Exception as error:  # noqa: BLE001 - a test runs into whatever the program returned
        return str(error) if isinstance(error, ProgramError) else fault_of(error)


def value_of(expression: ast.expr, names: dict[str, Any]) -> object:
    return eval(compile(ast.Expression(expression), "<test>", "eval"), names)


def passes(hidden: str, worker: Worker, names: dict[str, Any]) -> bool:
    random.seed(0)  # some tests draw their cases
    try:
        exec(hidden, names)
        names["check"](worker)
    except Exception:  # noqa: BLE001 - whatever a test runs into, the program does not pass it
        return False
    return True


def part() -> dict[str, Any]:
    """Return the next part of what is given, reading no byte further."""
    size = int(os.read(0, WIDTH))
    text = b""
    while len(text) < size:
        text += os.read(0, size - len(text))
    return json.loads(text)


def main() -> None:
    worker = Worker(part())
    tests = part()
    report = examine(worker, tests)
    worker.stop()
    sys.stdout.write(json.dumps({"number": tests["number"], **report}))


if __name__ == "__main__":
    main()
