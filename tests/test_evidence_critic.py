"""The critic without a model says what the record shows, and passes the scrutiny of all critics."""

import asyncio
from random import Random

from agent.critics.case import Case
from agent.critics.evidence_critic import EvidenceCritic, answer_of
from agent.critics.scrutiny import scrutinize
from criticizing import FAILED, GOLD, TASK, WORLD
from environments.anchor import Anchor
from environments.episode import Split
from memory.making.abstract import instances
from wandering import NOON, recorded


def criticized(case):
    return asyncio.run(EvidenceCritic().criticize(case, NOON))


def wanderings(many=60, steps=20):
    for task in WORLD.tasks(Split.TRAIN):
        for seed in range(many // 12):
            rng, play, actions = Random(f"{task.id}{seed}"), WORLD.start(task), []
            while len(actions) < steps and play.observation.ending is None:
                actions.append(rng.choice([*play.observation.admissible, "fly away"]))
                play.step(actions[-1])
            yield recorded(WORLD, task, actions, id=f"{task.id}/{seed}")


def test_what_a_solution_did_instead_comes_first():
    solved = recorded(WORLD, TASK, GOLD, id="solved")
    found = criticized(Case(episode=FAILED, siblings=(solved,), gold=GOLD))
    assert found.critique.score == -1
    assert found.critique.citations[0].step == 2
    assert found.advice.fault == "doing 'look' at that point leads away from it"
    assert not instances(found.advice.instead)
    assert {"e1", "solved"} == set(found.critique.source.episodes)
    assert found.critique.source.anchor is Anchor.TOOL


def test_doing_the_same_again_is_told_with_what_was_not_tried():
    corner = recorded(WORLD, TASK, ["inventory", "inventory", "inventory"], id="idle")
    found = criticized(Case(episode=corner, gold=GOLD))
    assert "do what was not done yet" in found.advice.instead
    assert "that was not visited" in found.advice.instead


def test_an_attempt_that_wasted_nothing_gets_no_lesson():
    found = criticized(Case(episode=recorded(WORLD, TASK, GOLD[:-1], id="short"), gold=GOLD))
    assert (found.critique.score, found.critique.hint, found.advice) == (0, "", None)


def test_what_it_says_of_any_attempt_is_believed():
    lessons = 0
    for episode in wanderings():
        case = Case(episode=episode, gold=WORLD.gold(episode.task))
        opinion, rejections = scrutinize(answer_of(case), case)
        assert opinion is not None
        assert not rejections
        lessons += opinion.lesson is not None
    assert lessons > 30
