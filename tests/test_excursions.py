"""Demonstrations in which others interfere: only what the expert does is learned."""

from dataclasses import replace
from random import Random

import pytest

from distill.sequences.batch import Source
from distill.teaching.excursions import DIRECT, Detours, Guide, correction, excursion
from distill.teaching.searching import surveyed
from environments.episode import Ending, Split
from environments.household.games import KINDS
from environments.household.household import Household
from learning import NOW, a_step, an_episode

WORLD = Household.generated(train=48)
TASKS = WORLD.tasks(Split.TRAIN)
GUIDE = Guide(environment=WORLD, whereabouts=surveyed(WORLD, TASKS))


def shown(reading):
    actions = zip(reading.episode.actions, reading.imitated, strict=True)
    return [action for action, imitated in actions if imitated]


def excursions(detours, seed=3):
    rng, guide = Random(seed), replace(GUIDE, detours=detours)
    return [excursion(guide, t, WORLD.gold(t), rng=rng, now=NOW) for t in TASKS]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_is_solved_whoever_interferes(kind):
    found = excursions(Detours(chance=0.8, blunder=0.3))
    assert all(r.episode.solved for r in found if r.episode.task.kind == kind)
    assert {r.source for r in found} == {Source.DEMONSTRATION}


def test_walks_of_others_are_not_imitated_and_change_only_the_way():
    alone, disturbed = excursions(DIRECT), excursions(Detours(chance=1.0, blunder=0.0))
    assert all(all(reading.imitated) for reading in alone)
    strayed = sum(reading.imitated.count(False) for reading in disturbed)
    assert strayed > len(TASKS)
    for one, other in zip(alone, disturbed, strict=True):
        assert len(shown(other)) <= len(shown(one))  # others have looked already


def test_what_others_do_wrong_is_undone_at_once_and_the_undoing_is_imitated():
    undone = 0
    for reading in excursions(Detours(chance=0.0, blunder=0.5)):
        steps = reading.episode.steps
        for at, imitated in enumerate(reading.imitated):
            if not imitated:
                assert reading.imitated[at + 1]
                assert set(steps[at + 2].admissible) == set(steps[at].admissible)
                undone += 1
    assert undone > 10


def test_the_same_seed_strays_the_same_way():
    first, again = excursions(Detours(), 7), excursions(Detours(), 7)
    assert [r.episode.actions for r in first] == [r.episode.actions for r in again]


def test_a_failure_is_corrected_from_where_it_ended():
    task = TASKS[1]
    ways = [a for a in WORLD.start(task).observation.admissible if a.startswith("go to")][:3]
    steps = tuple(replace(a_step("wait"), action=action) for action in ways)
    failed = an_episode(task=task, steps=steps, ending=Ending.TRUNCATED)
    reading = correction(GUIDE, failed, WORLD.gold(task), rng=Random(0), now=NOW)
    assert reading.episode.solved
    assert reading.episode.actions[:3] == failed.actions
    assert not any(reading.imitated[:3])
    assert all(reading.imitated[3:])


def test_a_failure_without_a_way_back_is_not_corrected():
    carried = replace(a_step("wait"), action="inventory")
    failed = an_episode(task=TASKS[0], steps=(carried,), ending=Ending.TRUNCATED)
    assert correction(GUIDE, failed, ("open the sky",), rng=Random(0), now=NOW) is None


class Lending(Household):
    """A house whose plays are lent, as those of other engines are: each must be given back."""

    def __init__(self, games):
        super().__init__(games)
        self.lent = []

    def start(self, task):
        play = Lent(super().start(task), self.lent)
        self.lent.append(play)
        return play


class Lent:
    def __init__(self, play, lent):
        self._play, self._lent = play, lent
        self.step = play.step

    @property
    def observation(self):
        return self._play.observation

    def close(self):
        if self in self._lent:
            self._lent.remove(self)


def test_every_play_that_demonstrations_begin_is_given_back():
    world = Lending.generated(train=6)
    tasks = world.tasks(Split.TRAIN)
    known = surveyed(world, tasks)
    guide = Guide(environment=world, whereabouts=known, detours=Detours(chance=0.8, blunder=0.5))
    for task in tasks:
        plan = world.gold(task)
        excursion(guide, task, plan, rng=Random(1), now=NOW)
        excursion(guide, task, (*plan[:-1], "look"), rng=Random(1), now=NOW)  # finds no way
        steps = (replace(a_step("wait"), action=plan[0]),)
        lost = an_episode(task=task, steps=steps, ending=Ending.TRUNCATED)
        correction(guide, lost, plan, rng=Random(1), now=NOW)
    assert world.lent == []
