import math
from itertools import combinations, permutations

import pytest
import torch

from distill.signals.belief import log_belief, oscillation, shaped, shift
from distill.signals.feedback import nearest_hint, nearest_hint_by_token, overlap
from distill.signals.pairwise import (
    consistency,
    copeland,
    cycles,
    length_correlation,
    position_bias,
    tally,
)
from memory.proof.votes import majority
from tensor_builders import FLOAT, randn


def a_learner(questions: int = 12, flip: float = 0.3):
    """Log-beliefs in the truth of a Bayesian who asks noisy yes-no questions."""
    generator = torch.Generator().manual_seed(2)
    belief = torch.softmax(randn(16, seed=2), 0)
    answers = torch.rand(questions, 16, generator=generator) < 0.5
    history = [belief[5].log()]
    for answer in answers:
        observed = answer[5] ^ (torch.rand((), generator=generator) < flip)
        belief = belief * torch.where(answer == observed, 1 - flip, flip)
        belief = belief / belief.sum()
        history.append(belief[5].log())
    return torch.stack(history).unsqueeze(0)


def everything_reached(beliefs):
    return torch.ones(beliefs.shape[0], beliefs.shape[1] - 1, dtype=torch.bool)


def test_signed_shifts_telescope_to_the_whole_change_of_belief():
    beliefs = a_learner()
    total = shift(beliefs, everything_reached(beliefs)).sum(1)
    torch.testing.assert_close(total, beliefs[:, -1] - beliefs[:, 0])


def test_shaping_overpays_by_exactly_the_downward_movement():
    beliefs = a_learner()
    moved = shift(beliefs, everything_reached(beliefs))
    overpaid = shaped(moved, weight=1.0).sum(1) - (beliefs[:, -1] - beliefs[:, 0])
    torch.testing.assert_close(oscillation(moved), overpaid)
    assert float(oscillation(moved)) > 0.1


def test_a_belief_that_swings_farms_the_reward_and_the_meter_shows_it():
    swinging = torch.tensor([[-1.0, -3.0, -1.0, -3.0, -1.0]], dtype=FLOAT)
    moved = shift(swinging, everything_reached(swinging))
    assert float(shaped(moved, weight=0.1).sum()) == pytest.approx(0.4)
    assert float(oscillation(moved)) == 4.0


def test_the_expected_shift_is_the_information_in_the_answer():
    prior, flip = torch.softmax(randn(16, seed=4), 0), 0.1
    yes = torch.arange(16) % 3 == 0
    expected, answer_entropy = 0.0, 0.0
    for observed in (True, False):
        joint = prior * torch.where(yes == observed, 1 - flip, flip)
        evidence = joint.sum()
        beliefs = torch.stack([prior.log(), (joint / evidence).log()], 1)
        moved = shift(beliefs, everything_reached(beliefs)).squeeze(1)
        expected += float((joint * moved).sum())
        answer_entropy -= float(evidence * evidence.log())
    noise_entropy = -(flip * math.log(flip) + (1 - flip) * math.log(1 - flip))
    assert expected == pytest.approx(answer_entropy - noise_entropy)


def test_a_balanced_question_about_equals_is_worth_log_two_and_asking_again_nothing():
    beliefs = torch.tensor([[1 / 8, 1 / 4, 1 / 4]], dtype=FLOAT).log()
    moved = shift(beliefs, everything_reached(beliefs))
    assert moved.tolist() == [[pytest.approx(math.log(2)), 0.0]]


def test_turns_after_the_end_move_nothing_whatever_stands_there():
    beliefs = torch.tensor([[-3.0, -2.0, torch.nan, torch.nan]], dtype=FLOAT)
    reached = torch.tensor([[True, False, False]])
    assert shift(beliefs, reached).tolist() == [[1.0, 0.0, 0.0]]


def test_a_belief_is_the_sum_over_the_targets_tokens_and_differs_from_the_mean_by_its_length():
    logp = randn(1, 2, 4, seed=5)
    present = torch.tensor([True, True, True, False]).expand(1, 2, 4)
    belief = log_belief(logp.masked_fill(~present, torch.nan), present)
    torch.testing.assert_close(belief, 3 * logp[..., :3].mean(-1))


def test_without_weight_belief_pays_nothing():
    beliefs = a_learner()
    assert (shaped(shift(beliefs, everything_reached(beliefs)), weight=0.0) == 0).all()


def random_judge(size: int, seed: int):
    """Wins without ties."""
    generator = torch.Generator().manual_seed(seed)
    upper = (torch.rand(size, size, generator=generator) < 0.5).to(FLOAT).triu(1)
    return upper + (1 - upper.T).tril(-1)


TRANSITIVE = torch.ones(6, 6, dtype=FLOAT).triu(1)
IN_A_CIRCLE = torch.tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=FLOAT)


def cycles_by_hand(wins):
    beats = wins == 1
    return sum(
        bool(beats[a, b] and beats[b, c] and beats[c, a])
        for triple in combinations(range(len(wins)), 3)
        for a, b, c in (triple, triple[::-1])
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_score_is_a_half_whatever_the_judge_says(seed):
    verdicts = (3 * torch.rand(7, 7, generator=torch.Generator().manual_seed(seed))).floor() / 2
    assert float(copeland(tally(verdicts.to(FLOAT))).mean()) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_cycles_follows_from_the_wins(seed):
    wins = random_judge(6, seed)
    from_wins = math.comb(6, 3) - sum(math.comb(int(w), 2) for w in wins.sum(1))
    assert cycles(wins) == from_wins == cycles_by_hand(wins)


def test_cycles_are_counted_with_ties_too():
    wins = tally((3 * torch.rand(7, 7, generator=torch.Generator().manual_seed(1))).floor() / 2)
    assert (wins == 0.5).sum() > 7
    assert cycles(wins) == cycles_by_hand(wins)


def test_a_judge_without_contradictions_ranks_evenly():
    assert cycles(TRANSITIVE) == 0
    assert copeland(TRANSITIVE).tolist() == [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    assert (consistency(TRANSITIVE) == 1).all()


def test_every_pair_of_a_circle_is_inconsistent():
    assert cycles(IN_A_CIRCLE) == 1
    off_diagonal = ~torch.eye(3, dtype=torch.bool)
    assert (consistency(IN_A_CIRCLE)[off_diagonal] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_pairs_share_the_blame_for_each_cycle(seed):
    wins = random_judge(6, seed)
    blame = (1 - consistency(wins)).triu(1).sum() * (len(wins) - 2)
    assert float(blame) == pytest.approx(3 * cycles(wins))


def test_renaming_the_attempts_renames_the_scores():
    wins = random_judge(5, 3)
    for order in list(permutations(range(5)))[::17]:
        renamed = wins[list(order)][:, list(order)]
        torch.testing.assert_close(copeland(renamed), copeland(wins)[list(order)])


def test_a_win_needs_both_orders_and_a_disagreement_is_a_tie():
    first = torch.tensor([[9, 1, 1], [0, 9, 1], [1, 0.5, 9]], dtype=FLOAT)
    # 0 beats 1 in both orders; 0 and 2 both win when first; 1 and 2: one order is unreadable
    assert tally(first).tolist() == [[0.5, 1, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0.5]]
    assert copeland(tally(first)).tolist() == [0.75, 0.25, 0.5]


def test_a_judge_that_always_takes_the_first_ties_everything_and_is_caught():
    always_first = torch.ones(4, 4, dtype=FLOAT)
    assert copeland(tally(always_first)).tolist() == [0.5] * 4
    assert position_bias(always_first) == 1.0
    assert position_bias(TRANSITIVE) == 0.5


def test_a_judge_that_counts_words_is_caught():
    length = torch.tensor([60.0, 50.0, 40.0, 30.0, 20.0, 10.0], dtype=FLOAT)
    assert length_correlation(copeland(TRANSITIVE), length) == pytest.approx(1.0)
    assert length_correlation(copeland(TRANSITIVE), torch.ones(6, dtype=FLOAT)) == 0.0


def test_an_attempt_without_rivals_scores_a_half():
    alone = torch.ones(1, 1, dtype=FLOAT)
    assert copeland(tally(alone)).tolist() == [0.5]
    assert cycles(tally(alone)) == 0
    assert consistency(tally(alone)).tolist() == [[1.0]]
    assert position_bias(alone) == 0.5


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ([1, -1], 0),
        ([1, 1, -1], 1),
        ([None], 0),
        ([], 0),
        ([1, -1, 0], 0),
        ([-1, None, -1], -1),
        ([0, 0, 1], 0),
    ],
)
def test_votes_tie_to_zero_and_unreadable_ones_do_not_count(votes, verdict):
    assert majority(votes) == verdict


def top_tokens(seed: int):
    return randn(5, 12, seed=seed).topk(4).indices


def test_a_hint_that_changes_nothing_overlaps_entirely():
    policy = top_tokens(0)
    shared = overlap(policy, torch.stack([top_tokens(1), policy, top_tokens(2)]))
    assert shared[1].tolist() == [4] * 5
    assert nearest_hint(shared) == 1


def test_the_chosen_hint_does_not_depend_on_the_order_of_hints_or_tokens():
    policy, hints = top_tokens(0), torch.stack([top_tokens(seed) for seed in (1, 4, 8)])
    shared = overlap(policy, hints)
    assert len(set(shared.sum(1).tolist())) == 3  # no ties
    chosen = hints[nearest_hint(shared)]
    turned = hints.flip(0, 2)
    assert torch.equal(turned[nearest_hint(overlap(policy, turned))].flip(1), chosen)


def test_a_hint_can_be_chosen_at_each_position():
    shared = torch.tensor([[4, 0, 2], [1, 3, 2]])
    assert nearest_hint_by_token(shared).tolist() == [0, 1, 0]
    assert nearest_hint(shared) == 0
