"""One problem: a function to write, some tests to see, and the tests that decide."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    id: str
    entry: str  # the name of the function
    prompt: str  # source up to and including the head of the function and its docstring
    visible: tuple[str, ...]  # expressions over `candidate` that must be true
    hidden: str  # source that defines check(candidate), which raises unless all is well
    solution: str  # source that follows the prompt


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a program."""

    fault: str | None  # why it could not even be loaded; None: it was
    visible: tuple[str, ...]  # what is wrong about each visible test that was run; empty: nothing
    solved: bool  # it passes the hidden tests
    printed: str  # what it wrote to its outputs

    def passes_visible(self, problem: Problem) -> bool:
        """Return whether every test that was shown was run and found well."""
        ran_all = self.fault is None and len(self.visible) == len(problem.visible)
        return ran_all and not any(self.visible)
