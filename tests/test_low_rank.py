"""A linear layer with a low-rank update computes what peft's computes."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from distill.models.low_rank import use_low_rank
from distill.models.weights import dense

ROWS = torch.Generator().manual_seed(3)


def pair(dtype: torch.dtype, *, bias: bool = True) -> tuple[nn.Module, nn.Module]:
    """Return peft's layers and ours, of the same weights."""
    both = []
    for _ in range(2):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 16, bias=bias), nn.Tanh(), nn.Linear(16, 8, bias=bias))
        model = model.requires_grad_(False).to(dtype)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["0", "2"], lora_dropout=0.0)
        inject_adapter_in_model(config, model)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.3)
                weight.data = weight.data.float()
        both.append(model)
    use_low_rank(both[1])
    return both[0], both[1]


def gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    (model(x).float() ** 2).sum().backward()
    return {n: w.grad for n, w in model.named_parameters() if w.requires_grad}


@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradients_are_pefts(bias):
    peft, ours = pair(torch.float32, bias=bias)
    x = torch.randn(2, 5, 12, generator=ROWS, requires_grad=True)
    again = x.detach().clone().requires_grad_()
    assert torch.allclose(ours(again), peft(x), atol=1e-5)
    theirs, mine = gradients(peft, x), gradients(ours, again)
    assert mine.keys() == theirs.keys()
    assert len(mine) == 4
    assert all(torch.allclose(mine[n], each, rtol=1e-4, atol=1e-4) for n, each in theirs.items())
    assert torch.allclose(again.grad, x.grad, rtol=1e-4, atol=1e-4)


def test_a_bfloat16_layer_has_float32_factors_and_gradients_and_stays_near_pefts():
    peft, ours = pair(torch.bfloat16)
    x = torch.randn(1, 64, 12, generator=ROWS).bfloat16()
    assert ours(x).dtype == torch.bfloat16
    assert torch.allclose(ours(x), peft(x), atol=0.06, rtol=0.02)
    theirs, mine = gradients(peft, x), gradients(ours, x)
    for name, each in theirs.items():
        assert mine[name].dtype == torch.float32
        assert torch.cosine_similarity(mine[name].flatten(), each.flatten(), 0) > 0.999, name


def test_the_layer_still_says_what_it_says_to_who_acts():
    """Acting folds the update in: both read the same factors."""
    _, ours = pair(torch.float32)
    x = torch.randn(7, 12, generator=ROWS)
    with torch.no_grad():
        folded = torch.tanh(x @ dense(ours[0]).T + ours[0].get_base_layer().bias)
        assert torch.allclose(torch.tanh(ours[0](x)), folded, atol=1e-5)
