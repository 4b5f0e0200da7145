"""A value head on the policy's features: exact features, exact fits, and what it keeps."""

from typing import Any, cast

import pytest
import torch

from distill.models.value import Features, ValueHead
from distill.sequences.render import Renderer
from environments.transcript import Message, Origin, opening
from tiny_models import a_model, a_tokenizer


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def transcripts():
    start = opening("Rules that are long enough to be shared.", "", "A door.")
    on = (Message(Origin.POLICY, "go"), Message(Origin.ENVIRONMENT, "A hall."))
    off = (Message(Origin.POLICY, "stop"), Message(Origin.ENVIRONMENT, "Still a door."))
    return [(*start, *on), start, (*start, *off), (*start, *on, *off)]


def test_features_are_the_models_own_last_hidden_state_of_each_prompt():
    model, renderer = a_model(), Renderer(a_tokenizer())
    ours = Features(model, renderer).of(transcripts())
    alone = cast("Any", a_model())
    for row, told in zip(ours, transcripts(), strict=True):
        ids = torch.tensor([renderer.prompt(told)])
        with torch.no_grad():
            exact = alone.base_model(input_ids=ids).last_hidden_state[0, -1]
        torch.testing.assert_close(row, exact, rtol=1e-4, atol=1e-5)


def ridge_loss(head, x_BE, y_B, ridge):
    spread_E = x_BE.std(0, correction=0)
    errors = ((x_BE @ head.weight_E.double() + head.bias - y_B) ** 2).sum()
    return errors + ridge * ((head.weight_E.double() * spread_E) ** 2).sum()


@pytest.mark.parametrize("count", [6, 40])  # fewer moments than dimensions, and more
def test_no_other_head_has_a_smaller_penalized_squared_error(count):
    x_BE, y_B = randn(count, 12, seed=1).double(), torch.rand(count).double()
    head = ValueHead.fit(x_BE, y_B, ridge=0.5)
    best = ridge_loss(head, x_BE, y_B, 0.5)
    for seed in range(20):
        moved = ValueHead(
            head.weight_E + 1e-2 * randn(12, seed=seed), head.bias + 1e-2 * (seed % 3 - 1)
        )
        assert ridge_loss(moved, x_BE, y_B, 0.5) > best


def test_what_is_linear_in_the_features_is_found_again():
    x_BE, weight_E = randn(200, 5, seed=2), torch.tensor([0.05, -0.1, 0.02, 0.0, 0.08])
    head = ValueHead.fit(x_BE, x_BE @ weight_E + 0.5, ridge=1e-6)
    torch.testing.assert_close(head.weight_E, weight_E, atol=1e-4, rtol=0)
    assert head.bias == pytest.approx(0.5, abs=1e-4)


def test_a_feature_that_never_changes_carries_no_weight_and_breaks_nothing():
    x_BE = torch.cat([randn(20, 3, seed=3), torch.ones(20, 1)], 1)
    head = ValueHead.fit(x_BE, torch.linspace(0, 1, 20))
    assert head.weight_E.isfinite().all()
    assert head.weight_E[3] == 0


def test_a_value_is_a_chance():
    head = ValueHead(torch.tensor([10.0]), 0.5)
    assert head(torch.tensor([[-9.0], [0.0], [9.0]])).tolist() == [0.0, 0.5, 1.0]


def test_a_head_is_kept_and_found_again(tmp_path):
    head = ValueHead.fit(randn(8, 4, seed=4), torch.rand(8))
    head.save(tmp_path / "value.safetensors")
    again = ValueHead.load(tmp_path / "value.safetensors")
    assert torch.equal(again.weight_E, head.weight_E)
    assert again.bias == pytest.approx(head.bias)


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="0 moments"):
        ValueHead.fit(torch.zeros(0, 4), torch.zeros(0))
