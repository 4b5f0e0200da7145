"""TRL's losses are ours, where both have the same one; needs TRL (`pip install '.[trl]'`).

Those of its self-distillation are compared in test_divergence.py.
"""

import warnings
from collections import defaultdict
from dataclasses import replace
from importlib.util import find_spec
from math import inf
from types import SimpleNamespace

import pytest
import torch

from distill.objectives.divergence import k3
from distill.objectives.imitate import imitate
from distill.objectives.objective import mean
from distill.objectives.reinforce import clipped, reinforce, truncated
from distill.sequences.batch import Batch, Logprobs, Source
from distill.sequences.collate import collate, rows_of
from distill.sequences.encode import Reading
from distill.teaching.curriculum import demonstrated
from learning import an_episode, tiny_encoder, tiny_model, tiny_student
from tensor_builders import a_batch, gradient, randn

pytestmark = pytest.mark.skipif(find_spec("trl") is None, reason="pip install '.[trl]'")

SHAPE = (6, 9)
TAKEN_BT = (randn(*SHAPE, seed=1) - 3).requires_grad_()
SAMPLED_BT = TAKEN_BT.detach() + randn(*SHAPE, seed=2, scale=0.5)  # beyond every clip, both ways
REFERENCE_BT = TAKEN_BT.detach() + randn(*SHAPE, seed=3, scale=0.5)
MASK_BT = randn(*SHAPE, seed=4) > 0
REWARD_B1 = randn(SHAPE[0], 1, seed=5)
NEAR = {"atol": 1e-5, "rtol": 0.0}


def ours() -> Batch:
    return a_batch(SAMPLED_BT, mask_BT=MASK_BT, advantage_BT=REWARD_B1 * MASK_BT)


def theirs(loss_type: str, *, beta: float = 0.0, **settings) -> torch.Tensor:
    """Return the loss of TRL's GRPO trainer where the model says `TAKEN_BT`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl import GRPOTrainer

    alone = SimpleNamespace(
        num_processes=1,
        gather=lambda x: x,
        reduce=lambda x, reduction: x,  # noqa: ARG005
    )
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (TAKEN_BT, -TAKEN_BT.detach(), None),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _entropy_bonus_enabled=False,
        accelerator=alone,
        args=SimpleNamespace(
            delta=settings.get("delta"), use_bias_correction_kl=False, steps_per_generation=1
        ),
        aux_loss_enabled=False,
        beta=beta,
        current_gradient_accumulation_steps=1,
        epsilon_high=settings.get("high", 0.28),
        epsilon_low=0.2,
        importance_sampling_level="token",
        loss_type=loss_type,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
    )
    ids = torch.zeros(SHAPE, dtype=torch.int64)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": MASK_BT.long(),
        "advantages": REWARD_B1[:, 0],
        "old_per_token_logps": SAMPLED_BT,
        "ref_per_token_logps": REFERENCE_BT,
        "num_items_in_batch": MASK_BT.sum(),
    }
    return GRPOTrainer._compute_loss(trainer, None, inputs)


@pytest.mark.parametrize("loss_type", ["bnpo", "dapo"])  # both are means over tokens
@pytest.mark.parametrize("cap", [inf, 1.5])
def test_the_clipped_surrogate_is_trls(loss_type, cap):
    mine = reinforce(clipped(0.2, 0.28, cap=cap))(Logprobs(taken_BT=TAKEN_BT), ours())
    yours = theirs(loss_type, delta=None if cap == inf else cap)
    torch.testing.assert_close(mine, yours, **NEAR)
    torch.testing.assert_close(gradient(mine, TAKEN_BT), gradient(yours, TAKEN_BT), **NEAR)


def test_the_truncated_surrogate_has_the_gradient_of_trls_cispo():
    mine = reinforce(truncated(cap=1.3))(Logprobs(taken_BT=TAKEN_BT), ours())
    yours = theirs("cispo", high=1.3)
    torch.testing.assert_close(gradient(mine, TAKEN_BT), gradient(yours, TAKEN_BT), **NEAR)


def test_the_distance_that_grpo_adds_is_k3():
    added = theirs("bnpo", beta=0.1) - theirs("bnpo")
    penalty_N = k3(TAKEN_BT[MASK_BT], REFERENCE_BT[MASK_BT])
    torch.testing.assert_close(added, 0.1 * mean(penalty_N, ours()), **NEAR)


def test_imitation_is_trls_from_the_weights_to_their_gradients():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.trainer.utils import add_fused_lm_head
    episodes = [an_episode("go left", "take gold"), an_episode("take iron ore", number=1)]
    readings = [Reading(episode=each, source=Source.DEMONSTRATION) for each in episodes]
    rows, _ = rows_of(tiny_encoder(), demonstrated(readings))
    free = [
        replace(row.encoded, decisions=tuple(replace(d, allowed=()) for d in row.encoded.decisions))
        for row in rows
    ]
    work = collate([replace(row, encoded=each) for row, each in zip(rows, free, strict=True)])
    student, model = tiny_student(), tiny_model()
    mine = imitate(student.speak(work).logprobs, work.batch)
    mine.backward()
    add_fused_lm_head(model)
    labels_BT = work.batch.tokens_BT.masked_fill(~work.batch.mask_BT, -100)
    told = {"input_ids": work.batch.tokens_BT, "labels": labels_BT, "fused_lm_head": True}
    yours = model(**told).loss
    yours.backward()
    torch.testing.assert_close(mine.detach(), yours.detach(), **NEAR)
    named = dict(model.named_parameters())
    for name, weight in student.weights.items():
        torch.testing.assert_close(weight.grad, named[name].grad, **NEAR)
