"""Items and critiques of stored episodes, and a process of its own: `bank_builders.py DB N`."""

import sys
from dataclasses import replace
from datetime import timedelta

from environments.anchor import Anchor
from environments.episode import Ending
from memory.bank.bank import Bank
from memory.knowledge.items import (
    Citation,
    Critique,
    Demonstration,
    Lesson,
    Move,
    Recalled,
    Skill,
    Source,
)
from store_worker import MORNING, an_episode


def a_source(*ids, made=MORNING, critic="critic-1", anchor=Anchor.ENVIRONMENT):
    episodes = [an_episode(id, ending=Ending.FAILED) for id in ids or ("e1",)]
    return Source.of(*episodes, critic=critic, anchor=anchor, made=made)


def a_lesson(*episodes, **changes):
    plain = Lesson(
        environment="household",
        kind="cool",
        when="a thing has to be cooled",
        fault="the fridge is still closed",
        why="closed receptacles hold nothing new",
        instead="open the fridge first",
        unless="it stands open",
        critique="",
        source=a_source(*episodes),
    )
    return replace(plain, **changes)


def a_demonstration(*episodes, **changes):
    plain = Demonstration(
        environment="household",
        kind="cool",
        task="household/42",
        goal="cool a mug",
        situation="a kitchen with a fridge, mugs in cabinets",
        moves=(
            Move(observation="You arrive at fridge 1.", action="open fridge 1"),
            Move(observation="You open the fridge 1.", action="cool mug 2 with fridge 1"),
        ),
        replayed=True,
        source=a_source(*episodes),
    )
    return replace(plain, **changes)


def a_skill(*episodes, **changes):
    plain = Skill(
        environment="household",
        kind="",
        name="cool-a-thing",
        purpose="Cools a thing. Use it when the goal says cool.",
        parameters=("object", "fridge"),
        precondition="You hold {object}.",
        procedure=("open {fridge}", "cool {object} with {fridge}"),
        demonstrations=(),
        source=a_source(*episodes),
    )
    return replace(plain, **changes)


def a_critique(episode="e1", *others, **changes):
    plain = Critique(
        episode=episode,
        score=-1,
        votes=(-1, -1, 0),
        hint="Open the fridge before you cool.",
        citations=(Citation(step=0, quote="The fridge 1 is closed."),),
        source=a_source(episode, *others),
    )
    return replace(plain, **changes)


def a_recall(item, episode="e1", **changes):
    plain = Recalled(
        item=item.id, version=item.version, episode=episode, run="r1", shown=True,
        propensity=0.9, at=MORNING,
    )  # fmt: skip
    return replace(plain, **changes)


def main(where: str, many: int) -> int:
    """Add lessons, in ones and twos, revise and retire some, and say so after each."""
    with Bank.open(where, busy_s=60) as bank:
        for number in range(many):
            made = MORNING + timedelta(minutes=number)
            lesson = bank.add(a_lesson("e1", when=f"case {number}", source=a_source(made=made)))
            bank.revise(replace(lesson, unless="never"))
            sys.stdout.write(f"{lesson.id}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
