"""Evidence that less is solved than in the exam: its closed forms, its errors, its limits."""

from math import comb

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import beta, betaln
from scipy.stats import binom

from memory.proof.fall import Tally, fallen, fewest_failures, withdrawn


def test_the_evidence_is_the_ratio_of_two_integrals():
    """One share throughout, or a share that fell to anywhere below."""
    fell, _ = dblquad(
        lambda now, then: now**3 * (1 - now) ** 4 / then * then**4.5 * (1 - then) ** 0.5,
        0, 1, 0, lambda then: then,
    )  # fmt: skip
    assert float(fallen(3, 4, Tally(5, 1))) == pytest.approx(fell / beta(8.5, 5.5), rel=1e-6)


def test_before_anything_is_seen_there_is_no_evidence():
    assert float(fallen(0, 0, Tally(30, 10))) == pytest.approx(1.0)


@pytest.mark.parametrize("exam", [Tally(0, 0), Tally(5, 2), Tally(40, 0), Tally(0, 9)])
def test_over_what_the_exam_predicts_the_mean_of_the_evidence_is_one(exam):
    """The sum over all courses of eight episodes, each as likely as the exam makes it."""
    failed = np.arange(9)
    ours, theirs = exam.solved + 0.5, exam.failed + 0.5
    log_likely = betaln(ours + 8 - failed, theirs + failed) - betaln(ours, theirs)
    likely = np.exp(log_likely) * [comb(8, int(each)) for each in failed]
    assert likely.sum() == pytest.approx(1.0)
    assert likely @ fallen(8 - failed, failed, exam) == pytest.approx(1.0)


def test_the_line_is_where_the_evidence_reaches_its_limit():
    exam = Tally(34, 6)
    line = fewest_failures(exam, 0.03, 60)
    assert set(np.diff(line)) <= {0, 1}
    for played, failed in enumerate(line.tolist(), start=1):
        assert float(fallen(played - failed, failed, exam)) >= 1 / 0.03 or failed > played
        assert float(fallen(played - failed + 1, failed - 1, exam)) < 1 / 0.03


def test_the_chance_of_meeting_a_line_is_that_of_all_courses():
    line = np.array([2, 2, 3])
    met = withdrawn(line, 0.4)
    both = 0.6 * 0.6
    assert met.tolist() == pytest.approx([0.0, both, both])  # three failures begin with two
    assert withdrawn(np.array([1]), 0.4).tolist() == pytest.approx([0.6])


def _within(size, then, now, episodes, level=0.03):
    """Return the chance of being withdrawn, over the exams that are not rare."""
    likely = binom.pmf(np.arange(size + 1), size, then)
    return sum(
        likely[k] * withdrawn(fewest_failures(Tally(k, size - k), level, episodes), now)[-1]
        for k in np.flatnonzero(likely > 0.01).tolist()
    )


@pytest.mark.parametrize("share", [0.2, 0.5, 0.85])
def test_an_able_policy_is_left_alone_in_98_of_100_histories_of_100_episodes(share):
    assert _within(40, share, share, 100) < 0.018


def test_a_fall_of_25_points_is_noticed_within_60_episodes_after_a_long_exam():
    assert _within(112, 0.85, 0.60, 60) > 0.74
    assert _within(40, 0.85, 0.60, 60) > 0.50
    assert _within(40, 0.85, 0.0, 60) > 0.95


def test_what_was_never_solved_cannot_fall():
    assert float(fallen(0, 10_000, Tally(0, 40))) < 10
    assert float(fallen(10_000, 0, Tally(40, 0))) < 1
