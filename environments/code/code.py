"""The code world: write a function, run the tests that can be seen, read what fails, repair it.

A program that passes what it was shown is handed in, and the hidden tests decide. Programs run in
the sandbox only.
"""

import re
from collections.abc import Iterator
from copy import copy
from typing import Self

from environments.catalogue import Catalogue
from environments.code.examiner import Examiner
from environments.code.humaneval import HumanEval
from environments.code.problem import Problem, Report
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.guarded import GuardedPlay

NAME = "code"

INSTRUCTIONS = (
    "You write Python. Answer with the whole function in a ```python block; the tests are run and "
    "you read what fails. A program that passes them is handed in, and hidden tests decide."
)
"""Read in every episode, so it is short."""

OPENING = "{prompt}\n{tests}Your task is to: {goal}"
NO_PROGRAM = "There is no program in that. Answer with the whole function {entry}."
SOLVED = "All tests pass, the hidden ones too."
LOST = "The tests that you know pass, but a hidden one does not."
SPENT = "That was the last try."

BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")  # differs from run to run, and a play must not
LONGEST_PRINT = 300  # characters of what a program printed


class Code(Catalogue):
    """Functions to write, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS

    def __init__(self, problems: HumanEval, examiner: Examiner, *, tries: int) -> None:
        self._problems = problems
        self._examiner = examiner
        self._tries = tries
        super().__init__(
            (task for split in Split for task in problems.tasks(split, NAME)),
            what="problem",
            forms=("HumanEval/0", "to", "HumanEval/163"),
        )

    @classmethod
    def humaneval(cls, *, tries: int = 5, seconds: float = 5.0) -> Self:
        """Return HumanEval's problems.

        Args:
            tries: programs that may be run at one task.
            seconds: processor time that all tests of a program may take together.
        """
        problems = HumanEval()
        examiner = Examiner(seconds=seconds, masked=(problems.folder,))
        return cls(problems, examiner, tries=tries)

    def start(self, task: Task) -> "CodePlay":
        problem = self._problems.problems[task.id]
        return CodePlay(problem, self._examiner, self._tries, _opening(problem, task.goal))

    def gold(self, task: Task) -> tuple[str, ...]:
        problem = self._problems.problems[task.id]
        return (f"```python\n{problem.prompt}{problem.solution}\n```",)


class CodePlay(GuardedPlay):
    """One function in the making."""

    __slots__ = ("_examiner", "_left", "_problem")
    waits = True  # for programs to run

    def __init__(self, problem: Problem, examiner: Examiner, tries: int, opening: str) -> None:
        self._problem = problem
        self._examiner = examiner
        self._left = tries
        super().__init__(ongoing(opening))

    def fork(self) -> "CodePlay":
        """Return a play that goes on from here by itself."""
        return copy(self)

    def _after(self, action: str) -> Observation:
        source, whole = program_in(action, self._problem)
        report = self._examiner.examine(self._problem, source)
        if not whole and (report.fault or "").startswith("SyntaxError"):
            return ongoing(NO_PROGRAM.format(entry=self._problem.entry))
        self._left -= 1
        return _seen(report, self._problem, self._left)


def program_in(text: str, problem: Problem) -> tuple[str, bool]:
    """Return the program that an answer holds, and whether it is more than the function's body."""
    blocks = BLOCK.findall(text)
    source = blocks[-1] if blocks else text
    if re.search(rf"^(async )?def {problem.entry}\b", source, re.MULTILINE):
        return source, True
    first, *rest = source.strip("\n").split("\n")
    return "\n".join([f"{problem.prompt}    {first.strip()}", *rest]), False


def _opening(problem: Problem, goal: str) -> str:
    shown = "".join(f"{test}\n" for test in _named(problem))
    tests = f"These tests are run:\n{shown}" if shown else ""
    return OPENING.format(prompt=problem.prompt, tests=tests, goal=goal)


def _named(problem: Problem) -> Iterator[str]:
    """Give the visible tests with the function's own name in them."""
    for test in problem.visible:
        yield re.sub(r"\bcandidate\b", problem.entry, test)


def _seen(report: Report, problem: Problem, left: int) -> Observation:
    if report.solved:
        return solved(SOLVED)
    if report.passes_visible(problem):
        return failed(LOST)
    text = ADDRESS.sub("0x", "\n".join(_lines(report, problem)))
    return ongoing(text) if left else failed(f"{text}\n{SPENT}")


def _lines(report: Report, problem: Problem) -> Iterator[str]:
    if report.fault is not None:
        yield f"The tests could not be run: {report.fault}"
    else:
        passed = report.visible.count("")
        yield f"{passed} of {len(problem.visible)} tests pass."
        for test, fault in zip(_named(problem), report.visible, strict=False):
            if fault:
                yield f"{test}: {fault}"
    if printed := report.printed.strip():
        yield f"It printed: {printed[-LONGEST_PRINT:]}"
