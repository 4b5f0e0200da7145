"""The gate keeps its error rate at every look, and promotes what deserves it."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from memory.proof.intervals import mcnemar_better, mcnemar_different, paired
from memory.proof.power import Joint, ceiling, draw, joint, run
from memory.proof.proof import Outcome, Pair, Reason, judge, sentence
from memory.proof.sequential import Plan, critical_wins, evidence, outlook
from memory.proof.spending import Spending

RATES = (0.25, 0.4, 0.5, 0.6, 0.75, 0.85)
CORRELATION = 0.5  # phi of two versions of one agent on a task


def rng(seed=0):
    return np.random.default_rng(seed)


def some_pairs(*, wins=0, losses=0, both=0, neither=0):
    outcomes = (
        [(False, True)] * wins
        + [(True, False)] * losses
        + [(True, True)] * both
        + [(False, False)] * neither
    )
    return [Pair(f"task {i}", *outcome) for i, outcome in enumerate(outcomes)]


def as_pairs(win_T, loss_T):
    return [
        Pair(f"task {i}", bool(loss), bool(win))
        for i, (win, loss) in enumerate(zip(win_T, loss_T, strict=True))
    ]


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (9, 2), (3, 8), (7, 7)])
def test_mcnemar_is_the_exact_sign_test(wins, losses):
    total = wins + losses
    tosses = list(product((0, 1), repeat=min(total, 14)))
    at_least = sum(sum(toss) >= wins for toss in tosses) / len(tosses)
    assert float(mcnemar_better(wins, losses)) == pytest.approx(at_least)
    if total:
        assert float(mcnemar_different(wins, losses)) == pytest.approx(
            binomtest(wins, total).pvalue
        )


@pytest.mark.parametrize("truth", [Joint(0.2, 0.1), Joint(0.05, 0.02), Joint(0.3, 0.3)])
@pytest.mark.parametrize("pairs", [30, 100])
def test_the_interval_of_a_paired_difference_covers_as_often_as_it_says(truth, pairs):
    win_G2, loss_G2 = (each.sum(axis=1) for each in draw(truth, 20_000, pairs, rng()))
    low, high = paired(win_G2, loss_G2, pairs)
    covered = ((low <= truth.gain) & (truth.gain <= high)).mean()
    assert covered >= 0.935
    if pairs * (truth.win + truth.loss) > 5:
        assert covered <= 0.985  # with fewer differing pairs it is wider than it need be


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_over_every_run_of_a_fair_coin_the_line_is_reached_with_at_most_the_level(seed, level):
    plan = Plan(level=level, pairs=14)
    discordant_T = rng(seed).random(14) < 0.8
    line_T = critical_wins(discordant_T[None], plan)[0]
    toss_GT = np.array(list(product((0, 1), repeat=int(discordant_T.sum()))))
    wins_GT = np.zeros((len(toss_GT), 14), dtype=int)
    wins_GT[:, discordant_T] = toss_GT
    reached_G = (wins_GT.cumsum(axis=1) >= line_T).any(axis=1)
    assert reached_G.mean() <= level
    assert reached_G.mean() >= level / 2  # it is spent, as far as whole wins allow
    weight_G = 0.4 ** toss_GT.sum(axis=1) * 0.6 ** (1 - toss_GT).sum(axis=1)
    assert weight_G @ reached_G < reached_G.mean()  # a worse candidate has less of a chance


@pytest.mark.parametrize("null", [0.5, 0.3, 0.9])
def test_evidence_is_worth_one_on_average_under_the_null(null):
    for tosses in (1, 7, 60):
        hits = np.arange(tosses + 1)
        worth = binom.pmf(hits, tosses, null) @ evidence(hits, tosses - hits, null)
        assert worth == pytest.approx(1.0)


def test_evidence_is_the_mixture_of_all_bets_above_the_null():
    rates = (np.arange(200_000) + 0.5) / 200_000 * 0.5 + 0.5
    mixture = ((2 * rates) ** 9 * (2 * (1 - rates)) ** 3).mean()
    assert float(evidence(9, 3)) == pytest.approx(mixture, rel=1e-6)


def test_evidence_watched_for_ever_hardly_ever_convicts_the_innocent():
    hits_GT = (rng().random((1000, 250)) < 0.5).cumsum(axis=1)
    wealth_GT = evidence(hits_GT, np.arange(1, 251) - hits_GT)
    assert (wealth_GT >= 20).any(axis=1).mean() <= 0.05


def test_overwhelming_evidence_either_way_stays_a_number():
    assert float(evidence(0, 5000)) == pytest.approx(1 / 5001, rel=1e-3)
    assert float(evidence(3, 5000)) == pytest.approx(1 / 5001, rel=1e-2)
    assert 1e300 < float(evidence(5000, 0)) < np.inf


def test_the_gate_keeps_its_error_rate_when_looked_at_after_every_task():
    for truth in (joint(0.5, 0.5, CORRELATION), joint(0.8, 0.8, 0.0)):
        win_GT, loss_GT = draw(truth, 2000, 200, rng(1))
        over_GT = win_GT.cumsum(axis=1) >= critical_wins(win_GT | loss_GT, Plan())
        assert over_GT.any(axis=1).mean() <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5


def test_worse_candidates_are_promoted_in_at_most_one_of_twenty_gates():
    worse = [joint(rate, rate - drop, CORRELATION) for rate in RATES for drop in (0.02, 0.05, 0.1)]
    forgetful = [Joint(0.08 * 5 / 6, 0.08 * 5 / 6 + rate / 6) for rate in RATES]
    promoted = np.concatenate(
        [run(*draw(truth, 17, 200, rng(2)), Plan()).promoted_G for truth in worse + forgetful]
    )
    assert len(promoted) >= 400
    assert promoted.mean() <= 0.05


def test_a_gain_of_ten_points_is_promoted_in_four_of_five_gates_within_200_pairs():
    plan = Plan(level=Spending().level())
    for rate in RATES:
        truth = joint(rate, rate + 0.10, CORRELATION)
        power = run(*draw(truth, 1000, plan.pairs, rng(3)), plan).share
        assert power >= 0.80
        assert power >= ceiling(truth, plan) - 0.05  # little is left to win


def test_no_test_could_promise_that_for_independent_pairs_near_one_half():
    truth = joint(0.5, 0.6, 0.0)
    assert ceiling(truth, Plan()) < 0.65
    assert run(*draw(truth, 1000, 200, rng(4)), Plan()).share <= ceiling(truth, Plan()) + 0.03


def test_the_ceiling_of_one_pair_is_a_coin_tossed_on_a_win():
    truth = Joint(win=0.6, loss=0.2)
    assert ceiling(truth, Plan(pairs=1, level=0.05)) == pytest.approx(0.6 * 0.05 / 0.4)


def test_every_look_at_a_gate_agrees_with_the_simulated_ones():
    plan = Plan(pairs=60, level=0.1)
    win_GT, loss_GT = draw(Joint(0.25, 0.1), 6, 60, rng(5))
    course = run(win_GT, loss_GT, plan)
    for gate in range(6):
        pairs = as_pairs(win_GT[gate], loss_GT[gate])
        stopped = int(course.stopped_G[gate])
        before = {judge(pairs[:look], plan).outcome for look in range(0, stopped, 7)}
        assert before == {Outcome.UNDECIDED}
        promoted = judge(pairs[:stopped], plan).outcome is Outcome.PROMOTE
        assert promoted == bool(course.promoted_G[gate])


def test_the_forecast_of_further_pairs_comes_true():
    plan = Plan()
    discordant_T = np.arange(60) % 4 == 0
    forecast = outlook(discordant_T, 10, plan)  # 10 of 15: rates 16/62 and 11/17
    rate, share = 16 / 62, 11 / 17
    win_GT, loss_GT = draw(Joint(rate * share, rate * (1 - share)), 3000, plan.pairs, rng(6))
    past_T = np.flatnonzero(discordant_T)
    win_GT[:, :60] = loss_GT[:, :60] = False
    win_GT[:, past_T[5:]], loss_GT[:, past_T[:5]] = True, True
    course = run(win_GT, loss_GT, plan)
    going_on = course.stopped_G > 60
    assert going_on.all()
    assert forecast.further_pairs == pytest.approx((course.stopped_G - 60).mean(), rel=0.1)
    assert forecast.chance == pytest.approx(course.share, abs=0.06)


def test_a_clear_winner_is_promoted_with_its_numbers():
    verdict = judge(some_pairs(wins=14, losses=1, both=20, neither=15), Plan())
    assert (verdict.outcome, verdict.reason) == (Outcome.PROMOTE, Reason.PROVEN)
    assert (verdict.pairs, verdict.wins, verdict.losses) == (50, 14, 1)
    assert verdict.difference == pytest.approx(0.26)
    assert verdict.interval.low > 0.1
    assert verdict.better == pytest.approx(16 / 2**15)
    assert verdict.evidence > 100
    assert verdict.needed is not None
    assert verdict.needed <= 14
    assert (verdict.outlook.chance, verdict.outlook.further_pairs) == (1.0, 0.0)
    assert sentence(verdict).startswith("promote: the gain is proven (14 wins, 1 losses in 50")


def test_a_lost_anchor_rejects_even_a_clear_winner_unless_tolerated():
    pairs = some_pairs(wins=14, losses=1, both=20)
    anchors = [Pair("first words", True, False), Pair("second", False, False)]
    verdict = judge(pairs, Plan(), anchors=anchors)
    assert (verdict.reason, verdict.lost_anchors) == (Reason.ANCHOR_LOST, ("first words",))
    assert judge(pairs, Plan(), anchors=anchors, tolerated=1).reason is Reason.PROVEN


def test_an_alarm_of_an_audit_rejects_even_a_clear_winner():
    verdict = judge(some_pairs(wins=14), Plan(), vetoes=["worse calibration"])
    assert (verdict.outcome, verdict.reason) == (Outcome.REJECT, Reason.VETOED)
    assert "worse calibration" in sentence(verdict)


def test_a_candidate_without_prospects_is_given_up_before_the_plan_ends():
    verdict = judge(some_pairs(wins=4, losses=12, both=60, neither=44), Plan())
    assert verdict.reason is Reason.HOPELESS


def test_a_plan_that_is_used_up_rejects():
    plan = Plan(pairs=10, worthwhile=0.5)
    verdict = judge(some_pairs(wins=3, both=7), plan)
    assert (verdict.outcome, verdict.reason) == (Outcome.REJECT, Reason.OUT_OF_PAIRS)


def test_an_open_question_says_how_many_episodes_are_missing():
    verdict = judge(some_pairs(wins=6, losses=2, both=32), Plan())
    assert verdict.outcome is Outcome.UNDECIDED
    assert 10 < verdict.outlook.further_pairs < 160
    assert 0.5 < verdict.outlook.chance < 1
    assert sentence(verdict).startswith("undecided: about ")
    assert judge([], Plan()).needed is None


def test_more_pairs_than_planned_or_a_task_twice_are_refused():
    with pytest.raises(ValueError, match="11 pairs for a plan of 10"):
        judge(some_pairs(both=11), Plan(pairs=10))
    with pytest.raises(ValueError, match="counted twice"):
        judge([Pair("same", True, True), Pair("same", True, False)], Plan())
    with pytest.raises(ValueError, match="between 0 and 1"):
        Plan(level=5)


def test_rates_that_cannot_correlate_so_are_refused():
    with pytest.raises(ValueError, match=r"0\.25 and 0\.05 cannot correlate by 0\.5"):
        joint(0.25, 0.05, 0.5)


def test_levels_never_add_up_to_more_than_the_false_share_without_adoptions():
    spending, spent = Spending(), 0.0
    for candidates in [1, 10, 3] * 300:
        spent += candidates * spending.level(candidates)
        spending = spending.after(0)
    assert 0.099 < spent < 0.10


def test_an_adoption_earns_level_back_and_many_candidates_share_it():
    before = Spending(rounds=4)
    assert Spending(rounds=4, adopted=2).level() == pytest.approx(3 * before.level())
    assert before.level(20) == pytest.approx(before.level() / 20)
    with pytest.raises(ValueError, match="0 candidates"):
        before.level(0)


def test_of_200_worthless_candidates_no_more_than_stated_are_admitted():
    admitted = worlds_with_any = 0
    for world in range(10):
        spending, chance, found = Spending(), rng(100 + world), 0
        for _ in range(20):
            plan = Plan(level=spending.level(10))
            course = run(*draw(joint(0.5, 0.5, CORRELATION), 10, 200, chance), plan)
            found += int(course.promoted_G.sum())
            spending = spending.after(int(course.promoted_G.sum()))
        admitted += found
        worlds_with_any += found > 0
    assert admitted / (10 * 200) <= 0.10 / 20  # far under the stated share of all candidates
    assert worlds_with_any / 10 <= 0.10 + 2 * (0.09 / 10) ** 0.5
