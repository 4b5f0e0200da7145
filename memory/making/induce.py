"""One procedure out of several demonstrations that have the same shape.

Anti-unification (Plotkin 1970): where all demonstrations say the same the procedure says it, where
they differ it has a parameter, and the same difference is the same parameter. No model takes part,
so a procedure holds nothing that was not done.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from zlib import crc32

from environments.anchor import Anchor
from memory.knowledge.admission import LONGEST_NAME
from memory.knowledge.items import Demonstration, Skill, Source
from memory.making.abstract import abstracted, class_of, instances

LEAST = 3
"""Tasks that a skill must rest on. Of 72 household walkthroughs two give 14 skills, three 11, four
8; fewer make a parameter constant by accident, as where all three things lay in drawers."""

MOST_CITED = 20
"""Demonstrations that a skill names; more would say nothing new of where it comes from."""

TOLD = 3  # goals that a skill's purpose gives as examples

Column: TypeAlias = tuple[str, ...]
"""What the demonstrations have at one place of the procedure, one of each."""


Shape: TypeAlias = tuple[tuple[str, ...], ...]
"""The actions of a demonstration, things numbered by their first mention."""


def induce(
    demonstrations: Sequence[Demonstration], *, made: datetime, least: int = LEAST
) -> list[Skill]:
    """Return a skill for each shape that enough proven demonstrations of one world share.

    Args:
        demonstrations: of any worlds and kinds, stored, so that each has its id; those that were
            not replayed are passed over, and so are further ones of a task.
        made: when.
        least: demonstrations of different tasks that a skill must rest on.
    """
    found: dict[tuple[str, Shape], dict[str, Demonstration]] = {}
    for each in demonstrations:
        if each.replayed:
            found.setdefault((each.environment, shape(each)), {}).setdefault(each.task, each)
    groups = sorted(
        (list(group.values()) for group in found.values() if len(group) >= least), key=len
    )
    named = {(group[0].environment, _name(group[0])): group for group in groups}
    return [_skill(group, name, made) for (_, name), group in named.items()]


def shape(demonstration: Demonstration) -> Shape:
    """Return what must be equal in demonstrations of one procedure.

    The words and which things are the same thing, where an action names things by number; of an
    action that names none, the first word and how many follow.
    """
    order: dict[str, str] = {}
    return tuple(tuple(_canonical(_terms(move.action), order)) for move in demonstration.moves)


def _canonical(terms: Sequence[str], order: dict[str, str]) -> Iterator[str]:
    if not any(map(_is_thing, terms)):
        yield terms[0] if terms else ""
        yield str(len(terms))
        return
    for term in terms:
        yield order.setdefault(term, f"#{len(order)}") if _is_thing(term) else term


def _terms(action: str) -> list[str]:
    """Return the words of an action, a thing with its number being one."""
    things = instances(action)
    if not things:
        return action.split()
    pattern = "|".join(re.escape(thing) for thing in sorted(things, key=len, reverse=True))
    return re.findall(rf"(?:{pattern})(?!\w)|\S+", action)


def _is_thing(term: str) -> bool:
    return " " in term


def _name(demonstration: Demonstration) -> str:
    """Return the verbs in their order as a skill's name."""
    verbs = (move.action.partition(" ")[0].casefold() for move in demonstration.moves)
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(verbs)).strip("-") or "do"
    if len(name) <= LONGEST_NAME:
        return name
    end = f"-{crc32(name.encode()):08x}"
    return name[: LONGEST_NAME - len(end)].rstrip("-") + end


@dataclass(frozen=True, slots=True)
class _Parameters:
    """What each column that differs, or is a thing, is called; the rest is the same everywhere."""

    named: Mapping[Column, str]  # by its part in the goals
    found: Mapping[Column, str]  # by its class, or "place" where that differs too

    def fill(self, column: Column) -> str:
        name = self.named.get(column) or self.found.get(column)
        return f"{{{name}}}" if name else column[0]


def _skill(group: Sequence[Demonstration], name: str, made: datetime) -> Skill:
    rows = [[_terms(move.action) for move in each.moves] for each in group]
    actions = [list(zip(*same, strict=True)) for same in zip(*rows, strict=True)]
    parameters = _parameters([column for action in actions for column in action], group)
    kinds = {each.kind for each in group}
    return Skill(
        environment=group[0].environment,
        kind=kinds.pop() if len(kinds) == 1 else "",
        name=name,
        purpose=_purpose(group),
        parameters=(*parameters.named.values(), *parameters.found.values()),
        precondition=_precondition(parameters),
        procedure=tuple(" ".join(map(parameters.fill, action)) for action in actions),
        demonstrations=tuple(each.id for each in group[:MOST_CITED]),
        source=_source(group[:MOST_CITED], made),
    )


def _parameters(columns: Sequence[Column], group: Sequence[Demonstration]) -> _Parameters:
    """Name the parameters: the first that the goals name is the object, the others targets."""
    named: dict[Column, str] = {}
    found: dict[Column, str] = {}
    called: dict[Column, str] = {}  # by the classes: two statues are object and object_2
    taken: Counter[str] = Counter()
    for column in dict.fromkeys(columns):
        if not _is_thing(column[0]) and len(set(column)) == 1:
            continue
        classes = tuple(map(_class, column))
        in_goals = all(map(_names, (each.goal for each in group), classes))
        if classes not in called:
            called[classes] = _word(classes, in_goals, first="object" not in taken)
        word = called[classes]
        taken[word] += 1
        (named if in_goals else found)[column] = (
            word if taken[word] == 1 else f"{word}_{taken[word]}"
        )
    return _Parameters(named, found)


def _word(classes: Column, in_goals: bool, *, first: bool) -> str:
    if in_goals:
        return "object" if first else "target"
    return re.sub(r"\W+", "_", classes[0].casefold()) if len(set(classes)) == 1 else "place"


def _class(term: str) -> str:
    return class_of(term) if _is_thing(term) else term


def _names(goal: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", goal, re.IGNORECASE) is not None


def _purpose(group: Sequence[Demonstration]) -> str:
    goals = dict.fromkeys(abstracted(each.goal) for each in group)
    kinds = " or ".join(sorted({each.kind.replace("_", " ") for each in group}))
    return (
        f"Does what the goal asks in tasks of type {kinds}, such as: {' '.join(list(goals)[:TOLD])}"
    )


def _precondition(parameters: _Parameters) -> str:
    """Say what has to be known before the first action."""
    named = [f"{{{name}}}" for name in parameters.named.values()]
    found = [f"{{{name}}}" for name in parameters.found.values()]
    said = [f"The goal names {', '.join(named)}."] if named else []
    return " ".join([*said, *([f"Still to be found: {', '.join(found)}."] if found else [])])


def _source(group: Sequence[Demonstration], made: datetime) -> Source:
    policies = {name for each in group for name in each.source.policy.split(", ")}
    return Source(
        episodes=tuple(dict.fromkeys(id for each in group for id in each.source.episodes)),
        policy=", ".join(sorted(policies)),
        critic="",
        anchor=Anchor.ENVIRONMENT,
        made=made,
    )
