"""Preferences between steps, from two episodes to a model that prefers the better one."""

import math

import pytest
import torch

from distill.models.student import Student
from distill.objectives.preference import prefer
from distill.sequences.encode import Encoder
from distill.sequences.render import Renderer
from distill.teaching.preferences import Pair, compared, works
from environments.episode import Split
from tiny_models import a_model, a_tokenizer
from wandering import recorded
from worlds import Workshop

WORLD = Workshop()
TASK = WORLD.tasks(Split.TRAIN)[0]
HOME = WORLD.gold(TASK)[0]
WALK = ("look around",)


pytestmark = pytest.mark.usefixtures("one_thread")


def a_pair(name="p", task=TASK):
    better = recorded(WORLD, task, (*WALK, HOME), id=f"{name}-better")
    worse = recorded(WORLD, task, (*WALK, "go to attic"), id=f"{name}-worse")
    return Pair(name=name, better=better, worse=worse, shared=len(WALK))


def an_encoder(length=4096):
    return Encoder(Renderer(a_tokenizer()), WORLD.instructions, length, vocabulary=264)


def some_works(student, pairs, **how):
    options = {"per_step": 2, "part_tokens": 8192, **how}
    encoder = options.pop("encoder", an_encoder())
    return list(works(student, encoder, pairs, student.copy(), **options))


def test_only_what_comes_after_the_shared_steps_is_learned():
    better, worse = compared(a_pair())
    assert better.reading.imitated == worse.reading.imitated == (False, True)
    assert (better.advantage, worse.advantage) == (1.0, -1.0)
    assert better.group == worse.group


def test_at_the_reference_each_step_costs_log_2_and_a_few_steps_teach_the_preference():
    student = Student(a_model())
    (work,) = some_works(student, [a_pair("p"), a_pair("q", WORLD.tasks(Split.TRAIN)[1])])
    objective, losses = prefer(0.5), []
    for _ in range(6):
        loss = objective(student.speak(work).logprobs, work.batch)
        losses.append(float(loss.detach()))
        loss.backward()
        with torch.no_grad():
            for weight in student.weights.values():
                if weight.grad is not None:
                    weight -= 0.02 * weight.grad
                    weight.grad = None
        student.publish()
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4)
    assert losses[-1] < 0.8 * losses[0]


def test_a_pair_with_a_side_that_does_not_fit_is_left_out_whole():
    student = Student(a_model())
    encoder = an_encoder()
    fits = max(len(encoder.encode(side.reading).ids) for side in compared(a_pair()))
    long = Pair(
        name="long",
        better=a_pair().better,
        worse=recorded(WORLD, TASK, (*WALK * 30, "go to attic"), id="long-worse"),
        shared=1,
    )
    (work,) = some_works(student, [long, a_pair()], encoder=an_encoder(fits))
    assert len(work.rows) == 2
    assert {row.group for row in work.rows} == {"p"}
    assert some_works(student, [long], encoder=an_encoder(fits)) == []
