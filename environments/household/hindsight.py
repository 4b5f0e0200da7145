"""What an attempt did do, as the task it would have solved.

Hindsight (Andrychowicz et al. 2017, arXiv:1707.01495): whoever put a book into a drawer when asked
for a plate has shown how a book is put into a drawer. The other task is played in the same house by
the same rules, so it is the world that says whether it was solved.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from environments.episode import Task
from environments.household.plan import RECIPES
from environments.household.problem import Expression, Problem
from environments.seed import derive

KIND = "pick_and_place_simple"

MARK = "~"
"""Between the name of a task and what is asked for instead."""

MOVED = re.compile(r"move ([a-z]+) \d+ to ([a-z]+) \d+")


def deeds(actions: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return what was put where, by kind, in the order in which it first was.

    >>> deeds(["go to desk 1", "move book 2 to desk 1", "move book 1 to desk 1"])
    (('book', 'desk'),)
    """
    found = (MOVED.fullmatch(action) for action in actions)
    return tuple(dict.fromkeys((match[1], match[2]) for match in found if match))


def instead(task: Task, thing: str, place: str) -> Task:
    """Return the task of putting a thing somewhere in the same house, in one of its sentences.

    >>> from environments.episode import Split
    >>> task = Task(id="7", environment="", split=Split.TRAIN, kind="", goal="put a pen in bed.")
    >>> instead(task, "book", "desk").id
    '7~book~desk'
    """
    id = MARK.join((original(task.id), thing, place))
    sentence = Random(derive(0, id)).choice(RECIPES[KIND].sentences)
    return replace(task, id=id, kind=KIND, goal=sentence.format(thing=thing, place=place))


def original(id: str) -> str:
    """Return the name of the task in whose house another is played; its own, if it is no other."""
    return id.partition(MARK)[0]


def asked_instead(id: str) -> tuple[str, str] | None:
    """Return what a name says is to be put where; None: it is the house's own task."""
    _, mark, rest = id.partition(MARK)
    thing, _, place = rest.partition(MARK)
    return (thing, place) if mark else None


def asking(problem: Problem, thing: str, place: str) -> Problem:
    """Return the same house with another goal."""
    lies: Expression = (
        "and",
        ("objecttype", "?o", f"{thing}type"),
        ("receptacletype", "?r", f"{place}type"),
        ("inreceptacle", "?o", "?r"),
    )
    variables: Expression = ("?o", "-", "object", "?r", "-", "receptacle")
    return replace(problem, goal=("exists", variables, lies))
