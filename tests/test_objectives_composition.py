"""Laws that every objective keeps, whatever it computes."""

from dataclasses import replace

import pytest
import torch

from distill.objectives.anchor import anchored, anchored_exactly
from distill.objectives.divergence import jensen_shannon, reverse_kl, within
from distill.objectives.imitate import imitate
from distill.objectives.negative import sparing
from distill.objectives.objective import among, combined, only
from distill.objectives.post_completion import answering, reporting
from distill.objectives.refine import refine
from distill.objectives.reinforce import clipped, reinforce, truncated, unclipped
from distill.objectives.self_distill import (
    distill,
    distill_renormalized,
    distill_taken,
    hinted,
    hinted_top_k,
)
from distill.sequences.batch import Batch, Logprobs, MissingScoresError, Source, Targets, cut
from tensor_builders import FLOAT, a_batch, gradient, randn

MARKER = 3
OBJECTIVES = {
    "imitate": imitate,
    "demonstrations": only(Source.DEMONSTRATION, imitate),
    "reinforce": reinforce(clipped()),
    "unclipped": reinforce(unclipped),
    "truncated": reinforce(truncated()),
    "anchored": anchored(reinforce(clipped()), weight=0.1),
    "anchored exactly": anchored_exactly(imitate, weight=0.1),
    "sparing": sparing(reinforce(clipped()), floor=0.1),
    "distill": distill(reverse_kl),
    "distill within": distill(within(1.0, reverse_kl)),
    "distill renormalized": distill_renormalized(jensen_shannon(0.5)),
    "distill taken": distill_taken(log_ratio_clip=1.0),
    "hinted": hinted(reinforce(clipped())),
    "hinted top-k": hinted_top_k(),
    "refine": refine(),
    "answers": answering(reinforce(clipped()), marker=MARKER),
    "reports": reporting(reinforce(clipped()), marker=MARKER),
    "distilled answers": answering(distill(reverse_kl), marker=MARKER),
    "reward and critique": combined((0.9, reinforce(clipped())), (0.1, distill(reverse_kl))),
}
every_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)

B, T, V, K = 6, 5, 11, 4


def targets(known_BT, old_V, *, seed: int) -> Targets:
    rows = int(known_BT.sum())
    spoken = torch.log_softmax(randn(rows, V, seed=seed), -1)
    ids = old_V.topk(K).indices.expand(rows, K)
    return Targets(
        known_BT=known_BT,
        logp_BT=-randn(B, T, seed=seed + 1).abs(),
        ids_NK=ids,
        logp_NK=spoken.gather(1, ids),
        sampled_logp_NK=old_V.expand(rows, V).gather(1, ids),
    )


def a_full_batch() -> Batch:
    """A batch with everything: masks, a teacher with gaps, a reference, three sources, a marker."""
    mask = torch.tensor([[0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]).repeat(2, 1).bool()
    tokens = torch.tensor([[1, 2, 3, 4, 5], [1, 3, 2, 3, 5], [1, 2, 4, 5, 5]]).repeat(2, 1)
    unknown = torch.zeros(B, T, dtype=torch.bool)
    unknown[0, 3] = unknown[2, 0] = True
    old_V = torch.log_softmax(randn(V, seed=10), -1)
    return a_batch(
        -randn(B, T, seed=11).abs(),
        tokens_BT=tokens,
        mask_BT=mask,
        advantage_BT=randn(B, T, seed=12),
        source_B=torch.tensor([0, 0, 1, 2, 0, 2]),
        weight_B=torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 0.3], dtype=FLOAT),
        teacher=targets(mask & ~unknown, old_V, seed=13),
        reference=targets(mask, old_V, seed=15),
    )


def words_about(batch: Batch, logits_V, taken_BT) -> Logprobs:
    policy_V = torch.log_softmax(logits_V, -1)
    return Logprobs(
        taken_BT=taken_BT,
        teacher_NK=policy_V[batch.teacher.ids_NK] if batch.teacher else None,
        reference_NK=policy_V[batch.reference.ids_NK] if batch.reference else None,
    )


def parameters():
    logits = randn(V, seed=20).requires_grad_()
    taken = (-randn(B, T, seed=21).abs()).requires_grad_()
    return logits, taken


def slopes(objective, batch, logits, taken):
    """The loss and its gradients, 0 where it does not depend on something."""
    loss = objective(words_about(batch, logits, taken), batch)
    found = torch.autograd.grad(loss, (logits, taken), allow_unused=True, retain_graph=True)
    zeros = torch.zeros_like(logits), torch.zeros_like(taken)
    pairs = zip(found, zeros, strict=True)
    return loss.detach(), *(zero if slope is None else slope for slope, zero in pairs)


@every_objective
def test_what_is_masked_is_never_touched(objective):
    batch, (logits, taken) = a_full_batch(), parameters()
    plain = slopes(objective, batch, logits, taken)
    hole = ~batch.mask_BT
    silent = ~batch.teacher.known_BT
    poisoned = replace(
        batch,
        sampled_logp_BT=batch.sampled_logp_BT.masked_fill(hole, torch.nan),
        advantage_BT=batch.advantage_BT.masked_fill(hole, torch.nan),
        teacher=replace(
            batch.teacher, logp_BT=batch.teacher.logp_BT.masked_fill(silent, torch.nan)
        ),
        reference=replace(
            batch.reference, logp_BT=batch.reference.logp_BT.masked_fill(hole, torch.nan)
        ),
    )
    broken = taken.detach().masked_fill(hole, torch.nan).requires_grad_()
    for before, after in zip(plain, slopes(objective, poisoned, logits, broken), strict=True):
        assert torch.equal(before, after)
    assert (plain[2][hole] == 0).all()


@every_objective
def test_a_sequence_of_weight_zero_counts_nowhere(objective):
    batch, (logits, taken) = a_full_batch(), parameters()
    out = torch.tensor([0, 1, 0, 0, 0, 1]).bool()
    batch = replace(batch, weight_B=batch.weight_B.masked_fill(out, 0))
    plain = slopes(objective, batch, logits, taken)
    poisoned = replace(
        batch,
        sampled_logp_BT=batch.sampled_logp_BT.masked_fill(out.unsqueeze(1), torch.nan),
        advantage_BT=batch.advantage_BT.masked_fill(out.unsqueeze(1), torch.nan),
    )
    for before, after in zip(plain, slopes(objective, poisoned, logits, taken), strict=True):
        assert torch.equal(before, after)
    kept = cut_out(batch, ~out)
    alone = slopes(objective, kept, logits, taken[~out])
    torch.testing.assert_close(alone[:2], plain[:2])
    torch.testing.assert_close(alone[2], plain[2][~out])


def cut_out(batch: Batch, keep_B) -> Batch:
    """The batch of some of its rows, as if the others had never been."""
    rows = [cut(batch, i, i + 1) for i in range(B) if keep_B[i]]

    def together(name, parts):
        return torch.cat([getattr(part, name) for part in parts])

    def of(name):
        parts = [getattr(row, name) for row in rows]
        fields = ("known_BT", "logp_BT", "ids_NK", "logp_NK", "sampled_logp_NK")
        return Targets(**{field: together(field, parts) for field in fields})

    fields = ("tokens_BT", "mask_BT", "sampled_logp_BT", "advantage_BT")
    fields += ("group_B", "source_B", "weight_B")
    plain = {field: together(field, rows) for field in fields}
    return Batch(**plain, teacher=of("teacher"), reference=of("reference"))


@every_objective
def test_the_parts_of_a_step_add_up_to_the_whole(objective):
    batch, (logits, taken) = a_full_batch(), parameters()
    whole = slopes(objective, batch, logits, taken)
    loss, by_logits, by_taken = torch.zeros(()), torch.zeros(V), torch.zeros(B, T)
    for start, stop in ((0, 1), (1, 4), (4, 6)):
        part = cut(batch, start, stop)
        found = slopes(objective, part, logits, taken[start:stop])
        loss, by_logits = loss + found[0], by_logits + found[1]
        by_taken[start:stop] += found[2].float()
    torch.testing.assert_close((loss, by_logits), whole[:2], check_dtype=False)
    torch.testing.assert_close(by_taken.to(FLOAT), whole[2], atol=1e-6, rtol=1e-5)


@every_objective
def test_no_gradient_reaches_the_other_models(objective):
    batch, (logits, taken) = a_full_batch(), parameters()
    theirs = []

    def leaf(tensor):
        theirs.append(tensor.clone().requires_grad_())
        return theirs[-1]

    teacher, reference = (
        replace(other, logp_BT=leaf(other.logp_BT), logp_NK=leaf(other.logp_NK))
        for other in (batch.teacher, batch.reference)
    )
    batch = replace(batch, teacher=teacher, reference=reference)
    slopes(objective, batch, logits, taken)
    loss = objective(words_about(batch, logits, taken), batch)
    assert torch.autograd.grad(loss, theirs, allow_unused=True) == (None,) * 4


@every_objective
def test_a_batch_in_which_nothing_is_decided_has_loss_zero_and_no_pull(objective):
    batch, (logits, taken) = a_full_batch(), parameters()
    empty = replace(batch, mask_BT=torch.zeros(B, T, dtype=torch.bool))
    loss, by_logits, by_taken = slopes(objective, empty, logits, taken)
    assert float(loss) == 0
    assert (by_logits == 0).all()
    assert (by_taken == 0).all()


@every_objective
def test_a_completion_of_one_token_is_a_batch_like_any_other(objective):
    old_V = torch.log_softmax(randn(V, seed=10), -1)
    known = torch.ones(1, 1, dtype=torch.bool)
    one = targets(known, old_V, seed=13)
    one = replace(one, logp_BT=one.logp_BT[:1, :1])
    batch = a_batch(
        torch.tensor([[-1.0]], dtype=FLOAT),
        advantage_BT=torch.ones(1, 1, dtype=FLOAT),
        teacher=one,
        reference=one,
    )
    logits, taken = randn(V, seed=20).requires_grad_(), torch.tensor([[-0.9]], dtype=FLOAT)
    loss, by_logits, by_taken = slopes(objective, batch, logits, taken.requires_grad_())
    assert all(torch.isfinite(value).all() for value in (loss, by_logits, by_taken))


def test_a_term_of_weight_zero_leaves_the_other_to_the_bit():
    batch, (logits, taken) = a_full_batch(), parameters()
    reward, critique = reinforce(clipped()), distill(reverse_kl)
    alone = slopes(reward, batch, logits, taken)
    for objective in (
        combined((1.0, reward), (0.0, critique)),
        hinted(reward, weight=0.0),
        anchored(reward, weight=0.0),
    ):
        for ours, expected in zip(slopes(objective, batch, logits, taken), alone, strict=True):
            assert torch.equal(ours, expected)
    for ours, expected in zip(
        slopes(combined((0.0, reward), (1.0, critique)), batch, logits, taken),
        slopes(critique, batch, logits, taken),
        strict=True,
    ):
        assert torch.equal(ours, expected)


def test_a_term_of_weight_zero_is_not_computed():
    batch, (logits, taken) = replace(a_full_batch(), teacher=None), parameters()
    objective = combined((1.0, imitate), (0.0, distill(reverse_kl)))
    assert torch.isfinite(objective(words_about(batch, logits, taken), batch))


def test_nothing_to_minimize_is_refused():
    with pytest.raises(ValueError, match="nothing to minimize"):
        combined((0.0, imitate), (0.0, reinforce(clipped())))


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        (distill(reverse_kl), "a teacher"),
        (hinted(reinforce(clipped())), "a teacher"),
        (anchored(imitate, weight=0.1), "a reference"),
    ],
)
def test_an_objective_says_which_scores_the_batch_lacks(objective, missing):
    batch, (logits, taken) = a_full_batch(), parameters()
    bare = replace(batch, teacher=None, reference=None)
    with pytest.raises(MissingScoresError, match=f"needs the log-probabilities of {missing}"):
        objective(words_about(bare, logits, taken), bare)


def test_the_mean_is_over_tokens_and_weights_can_make_it_one_over_sequences():
    taken = torch.tensor([[-1.0, -1.0, -1.0], [-4.0, 0.0, 0.0]], dtype=FLOAT)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
    batch = a_batch(taken, mask_BT=mask)
    assert float(imitate(Logprobs(taken_BT=taken), batch)) == (3 * 1 + 4) / 4
    by_sequence = replace(batch, weight_B=1 / mask.sum(1).to(FLOAT))
    assert float(imitate(Logprobs(taken_BT=taken), by_sequence)) == (1 + 4) / 2


def test_only_one_source_is_read_and_averaged():
    taken = torch.tensor([[-1.0], [-2.0], [-4.0]], dtype=FLOAT)
    batch = a_batch(taken, source_B=torch.tensor([0, 2, 2]))
    assert float(only(Source.DEMONSTRATION, imitate)(Logprobs(taken_BT=taken), batch)) == 3
    both = (Source.ROLLOUT, Source.DEMONSTRATION)
    assert float(among(both, imitate)(Logprobs(taken_BT=taken), batch)) == 7 / 3


def test_imitation_is_the_mean_negative_log_probability():
    logits = randn(4, V, seed=1).requires_grad_()
    tokens = torch.tensor([[3], [1], [4], [1]])
    taken = torch.log_softmax(logits, -1).gather(1, tokens)
    loss = imitate(Logprobs(taken_BT=taken), a_batch(taken, tokens_BT=tokens))
    torch.testing.assert_close(
        gradient(loss, logits),
        gradient(torch.nn.functional.cross_entropy(logits, tokens.squeeze(1)), logits),
    )


def test_tensors_that_do_not_fit_are_refused_where_the_batch_is_made():
    with pytest.raises(ValueError, match=r"advantage_BT is \(2, 2\), the tokens want \(2, 3\)"):
        a_batch(torch.zeros(2, 3), advantage_BT=torch.zeros(2, 2))
    with pytest.raises(ValueError, match="logp_NK has 3 rows for 2 known positions"):
        Targets(
            known_BT=torch.tensor([[True, True, False]]),
            logp_BT=torch.zeros(1, 3),
            logp_NK=torch.zeros(3, 4),
        )
