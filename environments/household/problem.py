"""A household problem as a frozen value, read from PDDL and written back.

ALFWorld states each game as a PDDL problem over one fixed domain, so the problem's facts and goal
are all that a game is; the domain's rules live in `engine`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from environments.errors import UserError

Fact = tuple[str, ...]  # the arguments; the predicate is the key it is kept under
Expression = tuple["str | Expression", ...]

TOKEN = re.compile(r"[()]|[^\s()]+")
FLAT = re.compile(r"\(([^()]+)\)")
COMMENT = re.compile(r";[^\n]*")


class ProblemError(UserError, ValueError):
    """A text that is no household problem."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not a household problem: {what}; give a complete ALFWorld pddl_problem")


@dataclass(frozen=True, slots=True)
class Problem:
    """All identifiers are in lower case, as the official engine makes them."""

    declared: tuple[tuple[str, str], ...]  # (identifier, type)
    facts: Mapping[str, tuple[Fact, ...]]  # by predicate, in the order of the text
    goal: Expression

    def of_type(self, kind: str) -> tuple[str, ...]:
        """Return the identifiers declared with a type, such as "receptacle"."""
        return tuple(name for name, type_name in self.declared if type_name == kind)

    def unary(self, predicate: str) -> frozenset[str]:
        """Return what a one-place predicate is true of at the start."""
        return frozenset(fact[0] for fact in self.facts.get(predicate, ()))

    def binary(self, predicate: str) -> dict[str, str]:
        """Return a two-place predicate as a function; the last fact wins."""
        return {fact[0]: fact[1] for fact in self.facts.get(predicate, ())}


def parse_problem(text: str) -> Problem:
    """Return the problem that a PDDL text states.

    Raises:
        ProblemError: a section is missing, cut off, or holds something else.
    """
    text = COMMENT.sub("", text).lower() if ";" in text else text.lower()
    objects, init, goal = _sections(text)
    facts: dict[str, list[Fact]] = {}
    for flat in FLAT.findall(init):
        predicate, *arguments = flat.split()
        facts.setdefault(predicate, []).append(tuple(arguments))
    for needed in ("atlocation", "receptacleatlocation"):
        if needed not in facts:
            raise ProblemError(f"no {needed} in :init")
    return Problem(
        tuple(_declared(objects.split())),
        {predicate: tuple(found) for predicate, found in facts.items()},
        _goal(goal),
    )


def write_problem(problem: Problem, name: str) -> str:
    """Return the PDDL text of a problem, on one line as in the packed games."""
    declared = " ".join(f"{each} - {kind}" for each, kind in problem.declared)
    facts = " ".join(
        f"({' '.join((predicate, *fact))})"
        for predicate, found in problem.facts.items()
        for fact in found
    )
    return (
        f"(define (problem {name}) (:domain alfred) (:objects {declared}) "
        f"(:init {facts}) (:goal {_spelled(problem.goal)}))"
    )


def _sections(text: str) -> tuple[str, str, str]:
    places = [text.find(mark) for mark in ("(:objects", "(:init", "(:goal")]
    for mark, place in zip((":objects", ":init", ":goal"), places, strict=True):
        if place < 0:
            raise ProblemError(f"no {mark} section")
    objects, init, goal = places
    if not objects < init < goal:
        raise ProblemError("sections out of order")
    start = init + len("(:init")
    return text[objects + len("(:objects") : init].rstrip(") \n\t\r"), text[start:goal], text[goal:]


def _declared(tokens: Iterable[str]) -> Iterator[tuple[str, str]]:
    waiting: list[str] = []
    stream = iter(tokens)
    for token in stream:
        if token != "-":
            waiting.append(token)
            continue
        kind = next(stream, None)
        if kind is None:
            raise ProblemError("an object without a type")
        yield from ((name, kind) for name in waiting)
        waiting.clear()


def _goal(text: str) -> Expression:
    stack: list[list[str | Expression]] = [[]]
    for token in TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token != ")":
            stack[-1].append(token)
        elif len(stack) > 1:
            closed = tuple(stack.pop())
            stack[-1].append(closed)
    match stack:
        case [[(":goal", tuple() as goal), *_]]:
            return goal
        case _:
            raise ProblemError("the goal is cut off")


def _spelled(expression: Expression) -> str:
    parts = (part if isinstance(part, str) else _spelled(part) for part in expression)
    return f"({' '.join(parts)})"
