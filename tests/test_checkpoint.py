"""Killed at any step, a training goes on as if nothing had happened."""

import shutil
from dataclasses import replace

import pytest
import torch

from distill.models.student import Student, Trained
from distill.objectives.imitate import imitate
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, collate, rows_of
from distill.sequences.encode import Reading
from distill.training.checkpoint import MOMENTS, STATE, WEIGHTS, UnlikeError, resume, save
from distill.training.train import Pace, Training
from learning import an_episode, tiny_encoder, tiny_model, tiny_student

PACE = Pace(rate=1e-2, warmup=3)
WORKS = [
    collate(
        rows_of(
            tiny_encoder(),
            [Chosen(reading=Reading(episode=an_episode(*a), source=Source.DEMONSTRATION))],
        )[0]
    )
    for a in (("take gold",), ("wait", "take iron ore"), ("go left", "go left"), ("go right",))
]


def fresh(trained: Trained = Trained.FULL) -> Training:
    return Training(tiny_student(trained), PACE)


def learned(training: Training, start: int, stop: int) -> Training:
    for work in WORKS[start:stop]:
        training.learn(work, imitate)
    return training


def same(a: Training, b: Training) -> bool:
    return a.step == b.step and all(
        torch.equal(b.student.weights[name], weight) for name, weight in a.student.weights.items()
    )


@pytest.mark.parametrize("trained", Trained)
@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_resumed_training_ends_in_the_same_bits(tmp_path, trained, killed):
    undisturbed = learned(fresh(trained), 0, 4)
    save(tmp_path, learned(fresh(trained), 0, killed))
    again = fresh(trained)
    found = resume(tmp_path, again)
    assert (found.step, found.damaged) == (killed, ())
    assert same(learned(again, killed, 4), undisturbed)


def test_a_bfloat16_model_resumes_from_its_float32_weights(tmp_path):
    def training():
        return Training(Student(tiny_model().bfloat16()), PACE)

    undisturbed = learned(training(), 0, 4)
    save(tmp_path, learned(training(), 0, 2))
    again = training()
    resume(tmp_path, again)
    assert same(learned(again, 2, 4), undisturbed)


def test_nothing_kept_is_a_new_beginning(tmp_path):
    assert resume(tmp_path / "none", fresh()) is None


def test_a_note_comes_back_as_it_was(tmp_path):
    save(tmp_path, fresh(), {"round": 3, "order": [2, 1]})
    assert resume(tmp_path, fresh()).note == {"round": 3, "order": [2, 1]}


@pytest.mark.parametrize("file", [WEIGHTS, MOMENTS, STATE])
def test_a_checkpoint_cut_in_half_is_passed_over_for_the_one_before(tmp_path, file):
    training = learned(fresh(), 0, 1)
    save(tmp_path, training)
    last = save(tmp_path, learned(training, 1, 2)) / file
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    found = resume(tmp_path, fresh())
    assert (found.step, found.damaged) == (1, ("step-00000002",))


def test_one_flipped_bit_is_damage(tmp_path):
    file = save(tmp_path, learned(fresh(), 0, 1)) / WEIGHTS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert resume(tmp_path, fresh()) is None


def test_a_checkpoint_killed_while_it_was_written_is_none(tmp_path):
    whole = save(tmp_path, learned(fresh(), 0, 1))
    shutil.copytree(whole, tmp_path / ".writing-abc" / "checkpoint")
    shutil.rmtree(whole)
    assert resume(tmp_path, fresh()) is None


def test_the_last_two_are_kept(tmp_path):
    training = fresh()
    for start in range(4):
        save(tmp_path, learned(training, start, start + 1))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_another_trainings_checkpoint_is_refused(tmp_path):
    save(tmp_path, learned(fresh(), 0, 1))
    with pytest.raises(UnlikeError, match="trained 'full'"):
        resume(tmp_path, fresh(Trained.LORA))
    other = Training(tiny_student(), replace(PACE, rate=1e-3))
    with pytest.raises(UnlikeError, match="pace"):
        resume(tmp_path, other)


def test_nothing_is_pickled(tmp_path):
    folder = save(tmp_path, learned(fresh(), 0, 1))
    assert {file.suffix for file in folder.iterdir()} == {".safetensors", ".json"}
