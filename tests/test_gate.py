"""The gate on played tasks: it promotes, rejects, or says how much more it would take."""

import asyncio
from dataclasses import replace

import pytest

from apprentice.gate.exam import Comparison
from apprentice.gate.gate import Bar, calibration_veto, gate, plan_of, range_veto
from environments.episode import Ending
from examining import Silent, a_comparison, a_seat, a_sheet, dev_tasks
from memory.proof.proof import Outcome, Reason, judge, sentence
from memory.store.store import Store
from store_worker import an_episode

BAR = Bar(anchors=1, tolerated=0, block=3, tries=0)


def _gated(tmp_path, a, b, bar=BAR, **how):
    tasks = dev_tasks()
    with Store.open(tmp_path / "store.sqlite") as store:
        seats = [
            a_seat(store, tmp_path, name, {tasks[place].id for place in solved})
            for name, solved in (("a", a), ("b", b))
        ]
        watched = Silent()
        found = asyncio.run(gate(*seats, tasks, bar=bar, level=0.2, watcher=watched, **how))
    return found, watched.episodes


def test_a_candidate_that_solves_all_is_promoted_before_all_is_played(tmp_path):
    found, episodes = _gated(tmp_path, [], range(9))
    assert found.verdict.outcome is Outcome.PROMOTE
    assert found.verdict.pairs == 6  # two blocks of three, of the eight that were there
    assert episodes == 2 * (1 + 6)


def test_an_equal_candidate_is_not_promoted(tmp_path):
    found, _ = _gated(tmp_path, range(9), range(9))
    assert found.verdict.outcome is Outcome.REJECT
    assert found.verdict.difference == 0.0


def test_a_lost_anchor_rejects_before_a_single_pair_is_played(tmp_path):
    found, episodes = _gated(tmp_path, [0], range(1, 9))
    assert found.verdict.reason is Reason.ANCHOR_LOST
    assert found.verdict.lost_anchors == (dev_tasks()[0].id,)
    assert episodes == 2


def test_a_budget_that_ends_early_leaves_it_undecided_with_an_estimate(tmp_path):
    bar = Bar(anchors=1, tolerated=0, block=2, budget=2, tries=0)
    found, _ = _gated(tmp_path, [], [1, 2, 3], bar)
    assert found.verdict.outcome is Outcome.UNDECIDED
    assert found.verdict.outlook.further_pairs > 0
    assert sentence(found.verdict).startswith("undecided: about ")


def test_an_exam_that_goes_on_ends_as_one_without_a_break_and_plays_nothing_twice(tmp_path):
    whole, episodes = _gated(tmp_path, [2], [1, 2, 3, 4, 5, 6, 7])
    bar = replace(BAR, budget=3)
    played = 0
    (tmp_path / "parts").mkdir()
    found = None
    for _ in range(2):
        found, new = _gated(tmp_path / "parts", [2], [1, 2, 3, 4, 5, 6, 7], bar, begun=found)
        played += new
    assert found == whole
    assert played == episodes == 2 * (1 + 6)


def test_pairs_seen_before_a_break_count_as_they_were(tmp_path):
    """Else whatever changed meanwhile would give a candidate another chance."""
    bar = replace(BAR, budget=3)
    begun, _ = _gated(tmp_path, [1], [1, 2, 3], bar)
    assert begun.verdict.outcome is Outcome.UNDECIDED
    (tmp_path / "later").mkdir()
    found, _ = _gated(tmp_path / "later", [], [], bar, begun=begun)
    assert found.compared.pairs[:3] == begun.compared.pairs
    assert found.verdict.plan == begun.verdict.plan
    assert (found.verdict.wins, found.verdict.pairs) == (2, 6)


def test_an_audit_is_asked_only_about_who_would_be_promoted_and_its_objection_rejects(tmp_path):
    asked = []

    async def audit(compared):
        asked.append(compared.difference)
        return ("it hacks",)

    found, _ = _gated(tmp_path, [], range(9), audit=audit)
    assert found.verdict.reason is Reason.VETOED
    assert found.verdict.vetoes == ("it hacks",)
    assert asked == [1.0]
    (tmp_path / "equal").mkdir()
    _gated(tmp_path / "equal", range(9), range(9), audit=audit)
    assert asked == [1.0]


def test_a_verdict_can_be_judged_again_from_the_stored_pairs(tmp_path):
    found, _ = _gated(tmp_path, [2, 3], [1, 2, 3, 4, 5, 6, 7])
    verdict = found.verdict
    again = judge(
        found.compared.pairs, verdict.plan, anchors=found.anchors.pairs, tolerated=BAR.tolerated
    )
    assert again == verdict


def test_few_tasks_look_for_the_least_gain_that_they_can_show():
    assert plan_of(Bar(), 0.05, 1_000).pairs == Bar().pairs
    assert plan_of(Bar(), 0.05, 200).worthwhile == 0.1
    few = plan_of(Bar(), 0.005, 28)
    assert 0.1 < few.worthwhile < 0.5
    assert judge((), few).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("before", "after", "objected"), [(0.9, 0.1, True), (0.9, 0.9, False), (0.1, 0.9, False)]
)
def test_confidence_that_means_less_than_before_is_objected_to(before, after, objected):
    solved = [True] * 20
    compared = Comparison(a=a_sheet("a", solved, sure=before), b=a_sheet("b", solved, sure=after))
    assert bool(calibration_veto(compared)) is objected


def test_without_recorded_confidence_there_is_nothing_to_object():
    assert calibration_veto(a_comparison([True] * 9, [True] * 9)) == ()


def test_solutions_that_were_lost_at_several_tries_are_objected_to():
    def tried(solved):
        return [
            an_episode(f"e{number}", ending=Ending.SOLVED if each else Ending.FAILED)
            for number, each in enumerate(solved)
        ]

    wide = tried([False, False, False, True] * 10)  # one try in four: all of them, sometimes
    narrow = tried([True] * 4 * 3 + [False] * 4 * 7)  # three tasks always, the others never
    assert range_veto(wide, narrow, 4)
    assert range_veto(narrow, wide, 4) == ()
    assert range_veto(wide, wide, 4) == ()
