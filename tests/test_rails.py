"""A training that destroys what it trains is stopped, and says why."""

from dataclasses import replace
from math import inf, nan

import pytest

from distill.training.rails import CanaryError, Rails, Vitals, alarm, canary_alarm

HEALTHY = Vitals(loss=1.0, gradient=0.5, entropy=0.8, kl=0.01, length=100.0)


def after(count: int, **changes: float) -> list[Vitals]:
    return [HEALTHY] * 5 + [replace(HEALTHY, **changes)] * count


def test_a_healthy_training_goes_on():
    assert alarm(Rails(), after(20)) is None


@pytest.mark.parametrize("changes", [{"loss": nan}, {"loss": inf}, {"gradient": nan}])
def test_a_loss_that_is_no_number_stops_at_once(changes):
    assert "lower the rate" in alarm(Rails(), [replace(HEALTHY, **changes)])


def test_entropy_may_fall_but_not_collapse():
    assert alarm(Rails(), after(5, entropy=0.05)) is None
    assert "entropy fell from 0.8 to 0.03" in alarm(Rails(), after(5, entropy=0.03))


def test_drift_from_who_acted_has_a_limit():
    assert alarm(Rails(), after(5, kl=0.4)) is None
    assert "0.6 nats" in alarm(Rails(), after(5, kl=0.6))


def test_attempts_that_grow_are_noticed():
    assert alarm(Rails(), after(5, length=199.0)) is None
    assert "100 to 201 tokens" in alarm(Rails(), after(5, length=201.0))


def test_one_odd_step_among_good_ones_is_no_drift():
    assert alarm(Rails(), [*after(5), replace(HEALTHY, kl=1.0, entropy=0.0)]) is None


def test_steps_without_attempts_of_its_own_say_nothing_of_drift():
    silent = replace(HEALTHY, entropy=nan, kl=nan, length=nan)
    assert alarm(Rails(), [silent] * 20) is None


def test_canaries_may_cough_but_not_fall():
    assert canary_alarm(Rails(), 0.9, 0.75) is None
    assert "0.90 to 0.65" in canary_alarm(Rails(), 0.9, 0.65)
    with pytest.raises(CanaryError, match=r"12\.0"):
        canary_alarm(Rails(), 0.9, 12.0)
