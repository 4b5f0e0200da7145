"""A goal, compiled once a game into a function that says whether a state reaches it.

The goal is asked after every step, so what never changes (types, places, abilities) is decided at
compile time and only leaves the few candidates worth asking about.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from environments.household.problem import Expression, Fact, Problem, ProblemError
from environments.household.state import State

Binding = dict[str, str]  # variable -> identifier
Test = Callable[[State, Binding], bool]

DYNAMIC: Mapping[str, Callable[[State, Fact], bool]] = {
    "atlocation": lambda state, fact: state.location == fact[1],
    "holds": lambda state, fact: state.held == fact[1],
    "inreceptacle": lambda state, fact: fact[0] in state.contents.get(fact[1], ()),
    "opened": lambda state, fact: fact[0] in state.opened,
    "isclean": lambda state, fact: fact[0] in state.clean,
    "ishot": lambda state, fact: fact[0] in state.hot,
    "iscool": lambda state, fact: fact[0] in state.cool,
    "istoggled": lambda state, fact: fact[0] in state.toggled,
    "issliced": lambda state, fact: fact[0] in state.sliced,
}

STATIC = (
    "cancontain",
    "cleanable",
    "coolable",
    "heatable",
    "inreceptacleobject",
    "isreceptacleobject",
    "objecttype",
    "openable",
    "pickupable",
    "receptacleatlocation",
    "receptacletype",
    "sliceable",
    "toggleable",
)


def compile_goal(problem: Problem) -> Callable[[State], bool]:
    """Return the function that says whether a state reaches the problem's goal.

    Raises:
        ProblemError: the goal uses words that ALFWorld's goals do not.
    """
    test = _Compiler(problem).test(problem.goal)
    return lambda state: test(state, {})


@dataclass(frozen=True, slots=True)
class _Level:
    """One variable of an `exists`, with what can be tested once it is bound."""

    variable: str
    candidates: tuple[str, ...]
    tests: tuple[Test, ...]


class _Compiler:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._static = {name: frozenset(problem.facts.get(name, ())) for name in STATIC}

    def test(self, expression: Expression) -> Test:
        match expression:
            case ("and", *parts):
                return _all([self.test(part) for part in _expressions(parts)])
            case ("not", tuple() as negated):
                inner = self.test(negated)
                return lambda state, bound: not inner(state, bound)
            case ("=", str() as left, str() as right):
                return lambda _, bound: bound.get(left, left) == bound.get(right, right)
            case ("exists", tuple() as variables, tuple() as body):
                return self._exists(variables, body)
            case (str() as predicate, *arguments):
                return self._atom(predicate, arguments)
            case _:
                raise ProblemError(f"its goal holds {expression!r}")

    def _atom(self, predicate: str, arguments: Sequence[str | Expression]) -> Test:
        terms = tuple(term for term in arguments if isinstance(term, str))
        if predicate in self._static:
            known = self._static[predicate]
            return lambda _, bound: tuple([bound.get(term, term) for term in terms]) in known
        if predicate not in DYNAMIC:
            raise ProblemError(f"its goal asks for {predicate!r}")
        holds = DYNAMIC[predicate]
        return lambda state, bound: holds(state, tuple([bound.get(term, term) for term in terms]))

    def _exists(self, variables: Expression, body: Expression) -> Test:
        conjuncts = list(_expressions(body[1:])) if body[0] == "and" else [body]
        types = dict(_typed(variables))
        levels: list[_Level] = []
        for index, (variable, kind) in enumerate(types.items()):
            unbound = set(list(types)[index + 1 :])
            ready = [each for each in conjuncts if not unbound & _names(each)]
            conjuncts = [each for each in conjuncts if each not in ready]
            fixed = [each for each in ready if self._is_static(each, variable)]
            levels.append(
                _Level(
                    variable,
                    self._candidates(variable, kind, fixed),
                    tuple(self.test(each) for each in ready if each not in fixed),
                )
            )
        return lambda state, bound: _search(levels, state, dict(bound))

    def _is_static(self, conjunct: Expression, variable: str) -> bool:
        variables = {name for name in _names(conjunct) if name.startswith("?")}
        return conjunct[0] in self._static and variables == {variable}

    def _candidates(self, variable: str, kind: str, fixed: list[Expression]) -> tuple[str, ...]:
        tests = [(each[0], each[1:]) for each in fixed]
        return tuple(
            name
            for name in self._problem.of_type(kind)
            if all(
                tuple(name if term == variable else term for term in terms)
                in self._static[str(predicate)]
                for predicate, terms in tests
            )
        )


def _all(tests: list[Test]) -> Test:
    return lambda state, bound: all(test(state, bound) for test in tests)


def _search(levels: Sequence[_Level], state: State, bound: Binding) -> bool:
    if not levels:
        return True
    level = levels[0]
    for candidate in level.candidates:
        bound[level.variable] = candidate
        for test in level.tests:
            if not test(state, bound):
                break
        else:
            if _search(levels[1:], state, bound):
                return True
    return False


def _typed(variables: Expression) -> Iterable[tuple[str, str]]:
    """Return (variable, type) of a list such as `?a ?b - object ?r - receptacle`."""
    waiting: list[str] = []
    tokens = iter(variables)
    for token in tokens:
        if token == "-":
            kind = str(next(tokens))
            yield from ((name, kind) for name in waiting)
            waiting.clear()
        else:
            waiting.append(str(token))


def _expressions(parts: Iterable[str | Expression]) -> Iterable[Expression]:
    for part in parts:
        if isinstance(part, str):
            raise ProblemError(f"its goal holds a bare {part!r}")
        yield part


def _names(expression: Expression) -> set[str]:
    found: set[str] = set()
    for part in expression:
        found |= {part} if isinstance(part, str) else _names(part)
    return found
