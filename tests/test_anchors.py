"""A model may teach itself only where that was measured to work."""

import numpy as np
import pytest

from distill.audit.simulate import World, anchored_loop, self_improvement
from distill.signals.anchors import SELF_SHARE, Anchored, allow
from environments.anchor import Anchor
from memory.proof.intervals import Interval

POSITIVE, UNSURE, NEGATIVE = Interval(0.02, 0.1), Interval(-0.01, 0.03), Interval(-0.1, -0.01)


def own(count, kind="heat", weight=1.0):
    return [Anchored(Anchor.SELF, kind, weight)] * count


def external(count, anchor=Anchor.ENVIRONMENT):
    return [Anchored(anchor, "heat")] * count


def rounds(world, share, seed=0):
    return list(anchored_loop(world, share, 6, 1000, np.random.default_rng(seed)))


@pytest.mark.parametrize("gaps", [{}, {"heat": UNSURE}, {"heat": NEGATIVE}, {"cool": POSITIVE}])
def test_a_batch_that_only_the_model_vouches_for_is_refused(gaps):
    found = allow(own(8), gaps)
    assert found.refused
    assert found.weights == (0.0,) * 8
    assert len(found.reasons) == 1


def test_a_positive_gap_lets_a_kind_teach_itself_and_no_other():
    found = allow(own(3, "heat") + own(2, "facts"), {"heat": POSITIVE})
    assert found.weights == (1, 1, 1, 0, 0)
    assert not found.refused
    assert found.reasons == (
        "facts: refused, only the model vouches for it and its gap is unmeasured",
    )


def test_beside_external_samples_self_judgment_has_at_most_a_quarter_of_the_weight():
    found = allow(external(6) + own(20, weight=2.0), {"heat": UNSURE})
    assert found.self_share == pytest.approx(SELF_SHARE)
    assert found.weights[:6] == (1.0,) * 6
    assert sum(found.weights[6:]) / sum(found.weights) == pytest.approx(0.25)
    assert found.reasons == ("heat: weights times 0.05, its gap is -0.010 to +0.030",)


def test_a_small_share_of_self_judgment_is_left_alone():
    found = allow(external(9) + own(1), {})
    assert (found.weights, found.reasons) == ((1.0,) * 10, ())
    assert found.self_share == pytest.approx(0.1)


def test_a_negative_gap_is_left_out_even_beside_external_samples():
    found = allow(external(9) + own(1), {"heat": NEGATIVE})
    assert found.weights == (1.0,) * 9 + (0.0,)
    assert found.reasons == ("heat: left out, the gap is negative (at most -0.010)",)


@pytest.mark.parametrize("anchor", [anchor for anchor in Anchor if anchor.external])
def test_every_anchor_outside_the_model_may_train(anchor):
    assert allow(external(2, anchor), {}).weights == (1.0, 1.0)


def test_an_empty_batch_is_refused_without_a_fuss():
    assert allow([], {}).refused


@pytest.mark.parametrize("seed", range(5))
def test_a_loop_that_trusts_only_itself_without_a_signal_is_stopped_before_its_second_round(seed):
    trusting = [m.accuracy for m in self_improvement(World.NO_SIGNAL, 6, 1000, rng(seed))]
    assert trusting[-1] < trusting[0] - 0.05  # what the policy is there to prevent
    played = rounds(World.NO_SIGNAL, 0.0, seed)
    assert len(played) <= 2
    assert played[-1].allowance.refused


@pytest.mark.parametrize("seed", range(5))
def test_with_a_tenth_of_external_prompts_it_goes_on_and_improves(seed):
    played = rounds(World.NO_SIGNAL, 0.1, seed)
    assert len(played) == 6
    assert not played[-1].allowance.refused
    assert played[-1].accuracy > played[0].accuracy + 0.03
    assert all(each.allowance.self_share <= SELF_SHARE + 1e-9 for each in played)


def test_a_verifier_with_systematic_errors_is_stopped_near_its_peak():
    played = list(anchored_loop(World.SYSTEMATIC, 0.0, 12, 1000, rng(1)))
    trusting = [m.accuracy for m in self_improvement(World.SYSTEMATIC, 12, 1000, rng(1))]
    assert played[-1].allowance.refused
    assert played[-1].accuracy > max(trusting) - 0.03


def test_a_verifier_with_a_signal_may_go_on_alone():
    played = rounds(World.SYMMETRIC, 0.0)
    assert len(played) == 6
    assert not played[-1].allowance.refused
    assert played[-1].accuracy > played[0].accuracy + 0.2


def rng(seed):
    return np.random.default_rng(seed)
