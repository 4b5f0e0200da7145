import pytest
import torch

from distill.teaching.teacher import follow, lag, trust_region
from tensor_builders import FLOAT, randn


def test_a_trailing_teacher_follows_its_closed_form():
    teacher, student = [torch.tensor([2.0], dtype=FLOAT)], [torch.tensor([5.0], dtype=FLOAT)]
    for _ in range(20):
        follow(teacher, student, rate=0.05)
    expected = 5.0 + (2.0 - 5.0) * 0.95**20
    assert float(teacher[0]) == pytest.approx(expected, abs=1e-12)
    assert float(teacher[0]) == pytest.approx(5.0 + (2.0 - 5.0) * lag(0.05, 20), abs=1e-12)


@pytest.mark.parametrize(("rate", "becomes"), [(0.0, "teacher"), (1.0, "student")])
def test_the_ends_freeze_and_copy_to_the_bit(rate, becomes):
    models = {"teacher": randn(1000, seed=0).float(), "student": randn(1000, seed=1).float()}
    moving = models["teacher"].clone()
    follow([moving], [models["student"]], rate=rate)
    assert torch.equal(moving, models[becomes])


def test_a_teacher_follows_a_coarser_student_and_gives_it_no_gradient():
    student = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    teacher = torch.zeros(3)
    follow([teacher], [student], rate=0.01)
    torch.testing.assert_close(teacher, torch.full((3,), 0.01))
    assert not teacher.requires_grad


def test_a_teacher_too_coarse_to_move_is_refused():
    ones = torch.ones(1, dtype=torch.bfloat16)
    assert torch.equal(ones.lerp(ones * 1.25, 0.01), ones)  # why
    with pytest.raises(TypeError, match="keep it in float32"):
        follow([ones], [ones], rate=0.01)


def test_the_trust_region_is_the_normalized_geometric_mean_and_not_an_average_of_logprobs():
    reference, student = randn(7, seed=2, scale=2.0), randn(7, seed=3).requires_grad_()
    averaged = 0.7 * torch.log_softmax(reference, -1) + 0.3 * torch.log_softmax(student, -1)
    ours = trust_region(reference, student, rate=0.3)
    torch.testing.assert_close(ours, torch.log_softmax(averaged.detach(), -1))
    assert float(averaged.detach().exp().sum()) < 0.99
    assert not ours.requires_grad
