"""The effect of a memory is estimated without bias, and bad memories leave."""

from itertools import product

import numpy as np
import pytest

from environments.anchor import Anchor
from memory.proof.credit import (
    FIRST_LOOK,
    Bar,
    Retirement,
    Tag,
    Use,
    credit,
    retirement,
    smoothed,
    uplift,
)
from memory.proof.intervals import newcombe, wilson


def a_use(i=0, *, shown=True, solved=True, propensity=0.9, item="lesson", tag=None):
    return Use(
        item=item,
        episode=f"episode {i}",
        kind="heat",
        shown=shown,
        propensity=propensity,
        solved=solved,
        tag=tag,
    )


def a_history(count, without, shown, rng, propensity=0.9):
    lots = rng.random(count) < propensity
    solved = rng.random(count) < np.where(lots, shown, without)
    return [
        a_use(i, shown=bool(lots[i]), solved=bool(solved[i]), propensity=propensity)
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_gives_the_published_intervals(hits, count, low, high):
    assert wilson(hits / count, count) == pytest.approx([low, high], abs=5e-5)


def test_newcombe_gives_the_published_interval():
    assert newcombe(56 / 70, 70, 48 / 80, 80) == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_over_every_lot_the_estimate_is_the_true_mean_effect():
    with_item, without = (1, 1, 0, 1, 0, 1, 0), (0, 1, 0, 0, 1, 1, 0)
    total = weight = 0.0
    for lots in product((True, False), repeat=7):
        if len(set(lots)) == 1:
            continue  # nothing to compare
        uses = [
            a_use(i, shown=lot, solved=bool((with_item if lot else without)[i]), propensity=0.8)
            for i, lot in enumerate(lots)
        ]
        chance = float(np.prod([0.8 if lot else 0.2 for lot in lots]))
        estimate = uplift(uses).estimate
        assert estimate is not None
        total += chance * estimate
        weight += chance
    assert total / weight == pytest.approx(np.mean(with_item) - np.mean(without))


def test_the_interval_covers_the_true_uplift_93_to_97_times_in_a_hundred():
    rng = np.random.default_rng(3)
    truths = [(0.5, 0.5), (0.3, 0.4), (0.6, 0.75), (0.85, 0.9), (0.5, 0.3), (0.2, 0.6)]
    covered = []
    for i in range(500):
        without, shown = truths[i % 6]
        found = uplift(a_history((20, 40, 80, 160, 320)[i % 5], without, shown, rng))
        covered.append(shown - without in found.interval)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_lots_of_different_odds_do_not_bias_the_estimate():
    rng = np.random.default_rng(4)
    estimates, naive = [], []
    for _ in range(150):
        easy = a_history(300, 0.7, 0.8, rng, propensity=0.95)  # few recalled: left out rarely
        hard = a_history(300, 0.1, 0.2, rng, propensity=0.6)  # many recalled: left out often
        uses = easy + hard
        estimates.append(uplift(uses).estimate)
        rates = [np.mean([u.solved for u in uses if u.shown is lot]) for lot in (True, False)]
        naive.append(rates[0] - rates[1])
    assert np.mean(estimates) == pytest.approx(0.10, abs=0.015)
    assert np.mean(naive) > 0.25


def test_without_a_lot_or_an_arm_nothing_is_claimed():
    found = uplift([a_use(i, propensity=1.0) for i in range(50)])
    assert (found.estimate, found.interval.low, found.interval.high) == (None, -1.0, 1.0)
    assert uplift([a_use(i) for i in range(5)]).estimate is None
    assert uplift([]).estimate is None


def test_an_item_left_out_without_a_lot_is_refused():
    with pytest.raises(ValueError, match=r"propensity 1\.0 of lesson"):
        a_use(shown=False, propensity=1.0)


def test_smoothed_rates_have_their_closed_form():
    assert (smoothed(0, 0), smoothed(1, 1), smoothed(0, 3)) == (0.5, 2 / 3, 0.2)


def test_credit_counts_only_the_items_own_uses_and_only_tags_of_those_shown():
    uses = [
        a_use(0, tag=Tag.HELPFUL),
        a_use(1, tag=Tag.HARMFUL, solved=False),
        a_use(2, shown=False, tag=Tag.HELPFUL),
        a_use(3, item="other", tag=Tag.HARMFUL),
    ]
    found = credit("lesson", uses)
    assert (found.uses, found.helpful, found.harmful) == (3, 1, 1)
    assert found.smoothed == smoothed(1, 2)
    assert (found.uplift.shown, found.uplift.left_out) == (2, 1)


def test_what_harms_is_retired_and_what_helps_is_kept():
    rng = np.random.default_rng(5)
    harmful = a_history(400, 0.7, 0.2, rng)
    helpful = a_history(400, 0.3, 0.7, rng)
    assert retirement(harmful, Bar()) is Retirement.HARMS
    assert retirement(helpful, Bar()) is None


def test_what_does_nothing_is_retired_once_that_is_known():
    idle = a_history(6400, 0.5, 0.5, np.random.default_rng(6))
    assert retirement(idle[:100], Bar()) is None
    assert retirement(idle, Bar()) is Retirement.NEVER_HELPS


def test_looking_more_often_gives_the_same_answer():
    uses = a_history(500, 0.5, 0.35, np.random.default_rng(7))
    answers = [retirement(uses[:seen], Bar()) for seen in range(501)]
    looks = [FIRST_LOOK << i for i in range(5)]
    for seen in range(501):
        last = max((look for look in looks if look <= seen), default=0)
        assert answers[seen] == answers[last]


def test_only_the_model_itself_is_no_external_anchor():
    assert [anchor for anchor in Anchor if not anchor.external] == [Anchor.SELF]
