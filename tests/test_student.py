"""One set of weights: what is trained is what acts, and gradients go where they should."""

import asyncio
from dataclasses import replace

import pytest
import torch

from distill.engine.engine import LocalPolicy, LocalSettings
from distill.models.student import Lora, Student, Trained
from distill.models.weights import dense
from distill.objectives.divergence import reverse_kl
from distill.objectives.imitate import imitate
from distill.objectives.self_distill import distill
from distill.sequences.attention import BlockwiseAttention
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen, Work, collate, pack, rows_of
from distill.sequences.encode import Reading
from distill.teaching.teaching import referred, taught
from distill.training.train import Pace, Training
from environments.transcript import Turn, opening
from learning import (
    MOVES,
    RULES,
    a_step,
    an_episode,
    tiny_encoder,
    tiny_model,
    tiny_student,
    tokenizer,
)

EPISODES = (
    an_episode("go left", "take gold"),
    an_episode("go left", "take iron ore"),
    an_episode("wait", "go right", "take gold"),
    an_episode(name="free", steps=(a_step("take gold", admissible=()),)),
)


def work(*readings: Reading) -> Work:
    chosen = [Chosen(reading=each, group="g") for each in readings]
    rows, dropped = rows_of(tiny_encoder(), chosen)
    assert not dropped
    return collate(rows)


def all_work() -> Work:
    return work(*(Reading(episode=each) for each in EPISODES))


def plain_logprobs(model, some: Work) -> torch.Tensor:
    """The same numbers the slow way: one sequence at a time, the whole vocabulary everywhere."""
    found = []
    for row in some.rows:
        logits = (
            model.set_attn_implementation("sdpa")
            or model(torch.tensor([row.encoded.ids])).logits[0]
        )
        for decision in row.encoded.decisions:
            allowed = list(decision.allowed or range(logits.shape[1]))
            logp = torch.log_softmax(logits[decision.position - 1, allowed], 0)
            found.append(logp[allowed.index(decision.token)])
    return torch.stack(found)


def test_packed_sequences_with_shared_beginnings_say_what_each_says_alone():
    student, some = tiny_student(), all_work()
    packed = pack([row.encoded for row in some.rows], student.device)
    assert len(packed.ids_N) < some.tokens  # something was shared
    ours_BT = student.speak(some).logprobs.taken_BT
    theirs_D = plain_logprobs(tiny_model(), some)
    assert torch.allclose(ours_BT[some.batch.mask_BT], theirs_D, atol=1e-5)


def test_gradients_of_packed_sequences_are_those_of_each_alone():
    student, some = tiny_student(), all_work()
    student.speak(some).logprobs.taken_BT.sum().backward()
    model = tiny_model()
    plain_logprobs(model, some).sum().backward()
    theirs = dict(model.named_parameters())
    for name, weight in student.weights.items():
        assert torch.allclose(weight.grad, theirs[name].grad, atol=1e-4), name


def test_attention_in_blocks_is_attention():
    torch.manual_seed(0)
    q = torch.randn(2, 3, 300, 8, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(2, 340, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    future = torch.ones(300, 340, dtype=torch.bool).triu(41)
    score = (q @ k.unsqueeze(1).mT).masked_fill(future, -torch.inf)
    plain = torch.softmax(score, -1) @ v.unsqueeze(1)
    ours = BlockwiseAttention.apply(q, k, v)
    assert torch.allclose(ours, plain, atol=1e-12)
    weights = torch.randn_like(plain)
    for mine, yours in zip(
        torch.autograd.grad((ours * weights).sum(), (q, k, v)),
        torch.autograd.grad((plain * weights).sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(mine, yours, atol=1e-12)


def test_the_trained_probability_is_the_recorded_one():
    model = tiny_model()
    policy = LocalPolicy("tiny", model, tokenizer(), LocalSettings(lanes=2, length=256))
    turn = Turn(
        messages=opening(RULES, "", "There is a door here"), admissible=MOVES, seed=3, episode="e"
    )

    async def act():
        completion = await policy.complete(turn)
        await policy.close()
        return completion

    completion = asyncio.run(act())
    step = replace(a_step("wait"), completion=completion)
    some = work(Reading(episode=an_episode(steps=(step,))))
    ours = Student(model).speak(some).logprobs.taken_BT[some.batch.mask_BT]
    theirs = some.batch.sampled_logp_BT[some.batch.mask_BT]
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("trained", Trained)
def test_a_step_changes_what_acts(trained):
    student = tiny_student(trained)
    layer = student.model.model.layers[0].mlp.down_proj
    before = dense(layer).clone()
    learn = Training(student, Pace(rate=1e-2, warmup=1))
    demonstration = work(Reading(episode=EPISODES[0], source=Source.DEMONSTRATION))
    first = learn.learn(demonstration, imitate).loss
    assert not torch.equal(dense(layer), before)
    for _ in range(5):
        last = learn.learn(demonstration, imitate).loss
    assert last < first


def test_embeddings_stay_as_they_are():
    student = tiny_student()
    before = student.model.get_input_embeddings().weight.detach().clone()
    training = Training(student, Pace(rate=1e-2))
    training.learn(work(Reading(episode=EPISODES[0], source=Source.DEMONSTRATION)), imitate)
    assert torch.equal(student.model.get_input_embeddings().weight, before)


def test_steps_too_small_for_bfloat16_are_not_lost():
    model = tiny_model().bfloat16()
    student = Student(model)
    name, parameter = next(
        (n, p) for n, p in model.named_parameters() if n.endswith("down_proj.weight")
    )
    master = student.weights[name]
    step = torch.full_like(master, 1e-5)
    with torch.no_grad():
        for _ in range(100):
            master.add_(step)
            student.publish()
    moved = (parameter.float() - tiny_model().bfloat16().get_parameter(name).float()).mean()
    assert moved.item() == pytest.approx(1e-3, rel=0.3)  # 0 without them


def test_gradients_of_parts_add_up_in_float32():
    whole, parts = Student(tiny_model().bfloat16()), Student(tiny_model().bfloat16())
    some = all_work()
    imitate(whole.speak(some).logprobs, some.batch).backward()
    for part in some.parts(30):
        imitate(parts.speak(part).logprobs, part.batch).backward()
    for name, weight in whole.weights.items():
        assert weight.grad.dtype == torch.float32
        assert torch.allclose(weight.grad, parts.weights[name].grad, atol=3e-2), name


def test_lora_begins_as_the_base_and_repeats_by_seed():
    base, some = tiny_student(), all_work()
    with torch.no_grad():
        lora = tiny_student(Trained.LORA, lora=Lora(rank=4, seed=5))
        again = tiny_student(Trained.LORA, lora=Lora(rank=4, seed=5))
        assert torch.equal(lora.speak(some).logprobs.taken_BT, base.speak(some).logprobs.taken_BT)
    assert all(torch.equal(again.weights[n], w) for n, w in lora.weights.items())
    assert all("lora_" in name for name in lora.weights)


def test_checkpointing_changes_memory_and_not_numbers():
    plain, thrifty = tiny_student(), tiny_student(checkpointing=True)
    some = all_work()
    for student in (plain, thrifty):
        student.speak(some).logprobs.taken_BT.sum().backward()
    for name, weight in plain.weights.items():
        assert torch.allclose(weight.grad, thrifty.weights[name].grad, atol=1e-6)


def test_a_hint_of_nothing_teaches_exactly_nothing():
    student = tiny_student()
    some = all_work()
    rows = tuple(replace(row, hinted=row.encoded) for row in some.rows)
    with torch.no_grad():
        told = taught(student, replace(some, rows=rows), part_tokens=10_000)
        loss = distill(reverse_kl)(student.speak(told).logprobs, told.batch)
    assert loss.item() == 0.0


def test_a_hint_teaches_the_attempts_that_were_shown_one_and_no_other():
    student = tiny_student()
    some = work(Reading(episode=EPISODES[0], hint="find it again"), Reading(episode=EPISODES[2]))
    told = taught(student, some, part_tokens=10_000)
    heard_B = told.batch.teacher.known_BT.any(1)
    assert [row.hinted is not None for row in told.rows] == heard_B.tolist()
    loss = distill(reverse_kl)(student.speak(told).logprobs, told.batch)
    assert loss.item() > 0
    assert torch.isfinite(torch.autograd.grad(loss, list(student.weights.values()))[0]).all()


def test_kept_tokens_and_their_tail_make_a_distribution_over_what_was_allowed():
    student, some = tiny_student(), all_work()
    rows = tuple(replace(row, hinted=row.encoded) for row in some.rows)
    told = taught(student, replace(some, rows=rows), part_tokens=10_000, kept=5)
    mass_N = told.batch.teacher.logp_NK.exp().sum(1)
    constrained_N = torch.tensor([bool(d.allowed) for r in told.rows for d in r.encoded.decisions])
    assert torch.allclose(mass_N[constrained_N], torch.ones(1), atol=1e-5)  # at most 3 allowed
    assert (mass_N[~constrained_N] < 0.99).all()


def test_a_reference_speaks_with_its_own_weights_and_the_student_keeps_its():
    student, some = tiny_student(), all_work()
    first = student.copy()
    with torch.no_grad():
        before_BT = student.speak(some).logprobs.taken_BT
        for weight in student.weights.values():
            weight.mul_(1.1)
        student.publish()
        now = student.copy()
        told = referred(student, some, first, part_tokens=50)
    at_BT = some.batch.mask_BT
    assert torch.allclose(told.batch.reference.logp_BT[at_BT], before_BT[at_BT], atol=1e-6)
    assert all(torch.equal(student.weights[n], w) for n, w in now.items())


def test_what_a_teacher_says_carries_no_gradient():
    student = tiny_student()
    some = work(Reading(episode=EPISODES[0], hint="find it again"))
    told = taught(student, some, part_tokens=10_000)
    assert not told.batch.teacher.logp_NK.requires_grad
    assert all(weight.grad is None for weight in student.weights.values())


def test_tokens_nobody_decided_get_no_gradient_of_their_own():
    """Prompt words matter as context only: their own probability is in no loss."""
    student, some = tiny_student(), all_work()
    taken_BT = student.speak(some).logprobs.taken_BT
    assert (taken_BT[~some.batch.mask_BT] == 0).all()
