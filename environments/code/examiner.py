"""From a program to its report: the judge in the sandbox is given both, and believed with care."""

import json
from collections.abc import Mapping
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from environments.code.judge import WIDTH
from environments.code.problem import Problem, Report
from environments.sandbox.limits import Limits
from environments.sandbox.sandbox import Sandbox
from environments.sandbox.supervise import Outcome, Verdict
from environments.seed import derive

PATIENCE = 6
"""Seconds on the wall for each of processor time: the verdict on a program must not depend on how
busy the machine is. Only a program that sleeps is waited for as long."""

START_S = 20.0
"""What the sandbox and two interpreters may take beside the tests, on a busy machine."""

STOPPED = {
    Verdict.FINISHED: "the program stopped its own tests",
    Verdict.KILLED: "the program stopped its own tests",
    Verdict.TIME: "it did not end in time",
    Verdict.MEMORY: "it took too much memory",
    Verdict.OUTPUT: "it printed too much",
}
"""Why there is no report."""


class Examiner:
    """Judges programs. Shared between threads."""

    def __init__(self, *, seconds: float, masked: tuple[Path, ...] = ()) -> None:
        self._seconds = seconds
        limits = Limits(seconds=PATIENCE * seconds + START_S, cpu_seconds=ceil(seconds) + 2)
        self._sandbox = Sandbox(limits, masked=masked)

    def examine(self, problem: Problem, source: str) -> Report:
        """Return what becomes of a program at the tests of a problem."""
        # Not to be guessed by the program, and the same whenever the same program is examined.
        number = derive(problem.id, problem.hidden, source)
        program = {
            "prelude": problem.prompt,
            "source": source,
            "entry": problem.entry,
            "cpu_seconds": ceil(self._seconds),
        }
        tests = {
            "prelude": problem.prompt,
            "entry": problem.entry,
            "visible": problem.visible,
            "hidden": problem.hidden,
            "seconds": PATIENCE * self._seconds,
            "number": number,
        }
        outcome = self._sandbox.python(_judge(), _part(program) + _part(tests))
        return _report(outcome, number)


@cache
def _judge() -> str:
    return Path(__file__).with_name("judge.py").read_text(encoding="utf-8")


def _part(values: Mapping[str, object]) -> bytes:
    text = json.dumps(values).encode()
    return b"%0*d%s" % (WIDTH, len(text), text)


def _report(outcome: Outcome, number: int) -> Report:
    printed = outcome.errors.decode(errors="replace")
    found = _found(outcome.output)
    if found.get("number") != number:
        return Report(STOPPED[outcome.verdict], (), solved=False, printed=printed)
    return Report(found["fault"], tuple(found["visible"]), found["solved"], printed)


def _found(output: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
