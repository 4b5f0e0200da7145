"""The record of rounds: kept once, found again, and the error of candidates spent once."""

from datetime import UTC, datetime, timedelta

import pytest

from memory.proof.proof import Outcome
from memory.proof.rounds import Round, Rounds
from memory.store.errors import UnknownIdError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def a_round(number=1, **changes):
    plain = {"id": f"r{number}-ab", "number": number, "seed": 7, "settings": "{}", "started": NOON}
    return Round(**{**plain, **changes})


@pytest.fixture
def rounds(database):
    with Rounds.open(database) as opened:
        yield opened


def test_a_round_is_found_by_id_number_or_beginning(rounds):
    for number in (1, 2):
        rounds.begin(a_round(number))
    assert rounds.next_number() == 3
    assert rounds.get("r2-ab") == rounds.get("2") == rounds.get("r2") == a_round(2)
    with pytest.raises(UnknownIdError, match=r"2 rounds are called 'r'.*r1-ab, r2-ab"):
        rounds.get("r")
    with pytest.raises(UnknownIdError, match="0 rounds are called '3'"):
        rounds.get("3")


def test_the_first_round_that_is_not_finished_is_resumed(rounds):
    assert rounds.unfinished() is None
    rounds.begin(a_round())
    rounds.begin(a_round(started=NOON + timedelta(days=1)))  # begun again after a kill
    assert rounds.unfinished() == a_round()
    rounds.finish("r1-ab", NOON)
    rounds.finish("r1-ab", NOON + timedelta(days=1))
    assert rounds.unfinished() is None
    assert rounds.get("1").finished == NOON


def test_the_first_report_of_a_stage_stays(rounds):
    rounds.begin(a_round())
    rounds.keep("r1-ab", "recall", "first", NOON)
    rounds.keep("r1-ab", "recall", "second", NOON)
    rounds.keep("r1-ab", "absorb", "other", NOON)
    assert rounds.reports("r1-ab") == {"recall": "first", "absorb": "other"}


def test_each_candidate_costs_its_level_once_and_an_adoption_earns_some_back(rounds):
    first = rounds.level("one", NOON)
    assert rounds.level("one", NOON) == first == pytest.approx(0.05)
    assert rounds.level("two", NOON) == pytest.approx(0.1 / 6)
    rounds.decide("one", Outcome.UNDECIDED, NOON)
    rounds.decide("one", Outcome.PROMOTE, NOON)
    rounds.decide("one", Outcome.REJECT, NOON)  # it was decided
    assert rounds.spending().adopted == 1
    assert rounds.level("three", NOON) == pytest.approx(0.1 * 2 / 12)
    assert rounds.level("four", NOON, false_share=0.2) == pytest.approx(0.2 * 2 / 20)


def test_a_candidate_is_judged_when_its_exam_is_over(rounds):
    rounds.level("a", NOON)
    assert rounds.outcome("a") is rounds.outcome("unknown") is None
    rounds.decide("a", Outcome.UNDECIDED, NOON)
    assert rounds.outcome("a") is None
    rounds.decide("a", Outcome.REJECT, NOON)
    assert rounds.outcome("a") is Outcome.REJECT
