"""How far who sampled is from who trains: as the formulas say, and as the trainer finds it."""

import math
from dataclasses import replace

import pytest
import torch

from distill.training.mismatch import compared, mismatch
from learning import an_episode, tiny_encoder, tiny_student


@pytest.mark.parametrize("log_ratios", [(0.5, -0.5, 0.0), (1.0, 2.0, -3.0), (0.0,)])
def test_a_mismatch_is_what_its_formulas_say(log_ratios):
    sampled = torch.full((len(log_ratios),), -1.5)
    found = mismatch(sampled, sampled + torch.tensor(log_ratios))
    many = len(log_ratios)
    assert found.mean == pytest.approx(sum(map(abs, log_ratios)) / many)
    assert found.most == pytest.approx(max(map(abs, log_ratios)))
    assert found.kl == pytest.approx(sum(math.exp(x) - 1 - x for x in log_ratios) / many, rel=1e-5)
    assert found.capped == pytest.approx(sum(math.exp(x) > 2 for x in log_ratios) / many)


def test_the_mean_of_the_estimated_kl_is_the_kl():
    sampler, trainer = (torch.tensor(each).log() for each in ([0.7, 0.2, 0.1], [0.5, 0.3, 0.2]))
    exact = (sampler.exp() * (sampler - trainer)).sum().item()
    drawn = torch.multinomial(sampler.exp(), 40_000, replacement=True,
                              generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert mismatch(sampler[drawn], trainer[drawn]).kl == pytest.approx(exact, rel=0.05)


def test_nothing_sampled_is_no_mismatch_and_is_said():
    found, dropped = compared(tiny_student(), tiny_encoder(), [], 512)
    assert found.decisions == 0
    assert "nothing can be compared" in found.sentence
    assert not dropped


def test_a_recorded_logprob_is_compared_with_the_trainers_own():
    student, encoder = tiny_student(), tiny_encoder()
    episode = an_episode("go left", "take gold")
    before, _ = compared(student, encoder, [episode], 512)
    steps = tuple(
        replace(step, completion=replace(step.completion, logprobs=(-1.5,) * len(step.completion.token_ids)))  # noqa: E501
        for step in episode.steps
    )  # fmt: skip
    after, _ = compared(student, encoder, [replace(episode, steps=steps)], 512)
    assert before.decisions == after.decisions > 1
    assert after.mean != before.mean
    assert abs(after.most - before.most) <= 1.0 + 1e-6
