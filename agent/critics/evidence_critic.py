"""The critic that asks no model: facts computed from an attempt, put into words by rule.

A baseline for every other critic, and what a machine without one has. It knows only that steps were
wasted, what was not tried and where a solution parted ways, never why; so its lessons are few, the
same for many episodes, and merge.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from agent.critics.case import Case
from agent.critics.critic import Criticism
from agent.critics.scrutiny import SHORTEST_QUOTE, Advice, Answer, Cited, scrutinize
from agent.critics.tagging import Tagging
from environments.anchor import Anchor
from environments.episode import Episode
from memory.knowledge.items import Critique, Item
from memory.making.abstract import abstracted, class_of
from memory.making.evidence import Evidence

NAME = "evidence"
LONGEST_QUOTE = 200  # characters of the observation that is cited
FEW_PLACES = 3  # classes of untried places that are named


class EvidenceCritic:
    """Says the first of its rules that holds. The same attempt always gets the same answer."""

    name = NAME

    async def criticize(self, case: Case, made: datetime) -> Criticism:
        """Return what the facts say, held to the same scrutiny as a model's answer."""
        answer = answer_of(case)
        opinion, rejections = scrutinize(answer, case)
        if opinion is None:
            return Criticism(critique=None, rejections=dict.fromkeys(rejections, 1))
        critique = Critique(
            episode=case.episode.id,
            score=opinion.score,
            votes=(opinion.score,),
            hint=opinion.hint,
            citations=opinion.citations,
            source=replace(case.source(NAME, made), anchor=Anchor.TOOL),
        )
        advice, counted = opinion.lesson, dict.fromkeys(rejections, 1)
        return Criticism(critique=critique, advice=advice, rejections=counted)

    async def tag(self, episode: Episode, items: Sequence[Item]) -> Tagging:
        """Say nothing: whether a note was followed cannot be computed."""
        return Tagging()


def answer_of(case: Case) -> Answer:
    """Return the answer of the first rule that holds for a case; without any, only a score of 0."""
    for rule in RULES:
        for step, advice in rule(case):
            return Answer(
                score=-1,
                citations=(_cited(case, step),),
                hint=f"Instead of what was done here: {advice.instead}.",
                lesson=advice,
            )
    return Answer(score=0, citations=(_cited(case, 0),), hint="", lesson=None)


def _cited(case: Case, step: int) -> Cited:
    """Return the first words seen at a step; where too little was seen there, at the start."""
    quote = " ".join(case.seen[step].split())[:LONGEST_QUOTE]
    if len(quote) < SHORTEST_QUOTE and step:
        return _cited(case, 0)
    return Cited(step=step, quote=quote)


def _parted(case: Case) -> Iterator[tuple[int, Advice]]:
    """Yield what a solution of the same task did where this attempt left it."""
    there = case.evidence.difference
    if there is None or not there.instead:
        return
    did = f"doing {abstracted(there.did)!r}" if there.did else "doing nothing that is possible"
    yield (
        there.step,
        Advice(
            when=f"the goal is like: {abstracted(case.episode.task.goal)}",
            fault=f"{did} at that point leads away from it",
            why="another attempt that solved the task went on otherwise from the same point",
            instead=f"{abstracted(there.instead)}",
            unless="",
        ),
    )


def _neglected(case: Case) -> Iterator[tuple[int, Advice]]:
    """Yield what the goal names, could have been done something with, and was left alone."""
    for word in case.evidence.neglected[:1]:
        at = next(
            place
            for place, step in enumerate(case.episode.steps)
            if word in " ".join(step.admissible).casefold()
        )
        yield (
            at,
            Advice(
                when=f"the goal names a {word} and an action with a {word} is possible",
                fault=f"no action with the {word} is ever taken",
                why=f"nothing that needs the {word} can be reached without it",
                instead=f"take the action that names the {word} as soon as it is possible",
                unless=f"the {word} has been dealt with",
            ),
        )


def _wasted(case: Case) -> Iterator[tuple[int, Advice]]:
    """Yield that something was done again and again, or did nothing."""
    step = _first_waste(case.evidence)
    if step is None:
        return
    yield (
        step,
        Advice(
            when="an action changed nothing, or was done in the same place before",
            fault="it is done again",
            why="the world answers the same to the same",
            instead=f"do what was not done yet; {_untried(case)}",
            unless="something changed since",
        ),
    )


def _first_waste(evidence: Evidence) -> int | None:
    places = [
        *(each.steps[1] for each in evidence.repeated),
        *evidence.idle,
        *evidence.illegal,
        *([evidence.loop.start + evidence.loop.length] if evidence.loop else []),
    ]
    return min(places, default=None)


def _untried(case: Case) -> str:
    """Return which classes of places there are to look at that the attempt left out."""
    classes = dict.fromkeys(class_of(thing) for thing in case.evidence.unvisited)
    named = " or ".join(f"a {name}" for name in [*classes][:FEW_PLACES])
    return f"look at {named} that was not visited" if named else "look elsewhere"


Rule = Callable[[Case], Iterator[tuple[int, Advice]]]

RULES: tuple[Rule, ...] = (_parted, _wasted, _neglected)
"""The most telling first."""
