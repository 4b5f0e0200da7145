"""The next round is practised while this one trains: each attempt once, by a known version."""

import asyncio
import json
import sys
import threading
from dataclasses import replace

import pytest

from apprentice.build import make_rig, make_store
from apprentice.commands.learn import in_turn, learn, open_rounds
from apprentice.distilling.staleness import oldest, rounds_ahead
from apprentice.loop.ahead import AHEAD, beside, meanwhile, plan_of
from apprentice.loop.practice import make, missing, planned, practising
from apprentice.loop.reports import Record, Started, record_of, to_json
from apprentice.loop.site import Site
from apprentice.loop.stages import recall
from apprentice.settings.config import load
from distill.models.adapters import LINEAGE
from distill.sequences.encode import Reason
from environments.errors import UserError
from practicing import NOON
from tiny_learner import install_workshop, save_tiny_model, small_config


@pytest.fixture(scope="module", autouse=True)
def workshop(tmp_path_factory):
    site = str(install_workshop(tmp_path_factory.mktemp("site")))
    sys.path.insert(0, site)
    yield
    sys.path.remove(site)


def _site(config, rounds):
    round, *coming = in_turn(config, rounds, 9)
    return Site(config=config, round=round, rounds=rounds, coming=tuple(coming))


def _config(home, **changes):
    sizes = {"tasks": 3, "attempts": 2, "ahead": 1}
    return small_config(home, "tiny", **{"learn": sizes, **changes})


def _episodes(config, site):
    """Return the attempts of a round by id, without what clocks said."""
    with make_store(config) as store:
        found = list(store.episodes(run=site.practice))
    return {each.id: replace(each, started=NOON, seconds=0.0) for each in found}


@pytest.mark.parametrize(
    ("ahead", "staleness", "trainings", "rounds"),
    [(0, None, None, 0), (0, 2, 2, 0), (2, None, 2, 2), (2, 1, 1, 1), (1, 5, 5, 1), (1, 0, 0, 0)],
)
def test_no_round_is_practised_further_ahead_than_can_be_learned_from(
    ahead, staleness, trainings, rounds
):
    config = load({"learn": {"ahead": ahead}, "distill": {"staleness": staleness}})
    assert oldest(config) == trainings
    assert rounds_ahead(config) == rounds


def test_rounds_ahead_are_begun_only_as_far_as_they_are_wanted_and_of_the_same_settings(tmp_path):
    config = _config(tmp_path, learn={"ahead": 2})
    with open_rounds(config) as rounds:
        assert [each.number for each in in_turn(config, rounds, 1)] == [1]
        assert [each.number for each in in_turn(config, rounds, 2)] == [1, 2]
        assert [each.number for each in in_turn(config, rounds, 9)] == [1, 2, 3]
        assert len(rounds.all()) == 3
        other = _config(tmp_path, learn={"ahead": 2, "tasks": 2})
        assert [each.number for each in in_turn(other, rounds, 9)] == [1, 2, 3]
        for each in rounds.all()[:2]:
            rounds.finish(each.id, NOON)
        assert [each.number for each in in_turn(other, rounds, 9)] == [3]


def test_what_is_practised_meanwhile_is_the_plan_of_the_next_round_each_attempt_once(tmp_path):
    config = _config(tmp_path)
    with open_rounds(config) as rounds:
        site = _site(config, rounds)
        (next_one,) = site.following
        with meanwhile(site, "random"):
            planned = plan_of(next_one)
            here = threading.current_thread()
        made = _episodes(config, next_one)
        assert planned.policy == "random"
        assert made
        assert set(made) == {each.id for each in planned.attempts}
        assert {each.policy for each in made.values()} == {"random"}
        assert here is threading.main_thread()
        assert not _episodes(config, site)
        with meanwhile(site, "another"):  # nothing is left, and the plan stays
            pass
        assert plan_of(next_one) == planned
        assert _episodes(config, next_one) == made


def test_practice_that_was_stopped_in_the_middle_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    whole, torn = (_config(tmp_path / name, limits={"steps": 8}) for name in ("whole", "torn"))
    with open_rounds(whole) as rounds:
        site = _site(whole, rounds)
        with meanwhile(site, "random"):
            pass
        wanted = _episodes(whole, site.following[0])
    with open_rounds(torn) as rounds:
        site = _site(torn, rounds)
        with pytest.raises(KeyboardInterrupt), meanwhile(site, "random"):
            raise KeyboardInterrupt
        with meanwhile(site, "random"):
            pass
        assert _episodes(torn, site.following[0]) == wanted


def test_an_error_of_the_practice_is_raised_when_what_goes_on_beside_it_is_over():
    done = []

    async def fail():
        raise UserError("the server is gone")

    with pytest.raises(UserError, match="the server is gone"), beside(fail()):
        done.append("trained")
    assert done == ["trained"]


def test_an_error_beside_the_practice_stops_it():
    stopped = []

    async def practise_for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(threading.current_thread().name)

    with pytest.raises(UserError, match="no room"), beside(practise_for_ever()):
        raise UserError("no room")
    assert stopped[0].startswith("ahead")


def _adapter(home, name, parent, model):
    folder = home / "adapters" / name
    folder.mkdir(parents=True)
    told = {"name": name, "base": model, "parent": parent, "trained": "full"}
    told |= {"objective": "reward", "episodes": [], "seed": 0, "versions": {}}
    told |= {"made": "2026-01-02T12:00:00+00:00", "walkthroughs": []}
    (folder / LINEAGE).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("student", "usable"), [("one", True), ("two", True), ("three", False), ("aside", False)]
)
def test_attempts_made_ahead_are_used_within_the_bound_and_else_dropped_and_counted(
    tmp_path, student, usable
):
    config = _config(tmp_path)
    parents = {"one": None, "two": "one", "three": "two", "aside": None}
    for name, parent in parents.items():
        _adapter(tmp_path, name, parent, "tiny")
    with open_rounds(config) as rounds:
        site = _site(config, rounds)
        plan = replace(planned(site, "random"), policy="local:tiny@one")
        rounds.keep(site.round.id, AHEAD, to_json(plan), NOON)
        with make_rig(practising(config, "random")) as rig:
            asyncio.run(make(site, missing(site, plan)[:4], rig))
        acting = Started(incumbent="", student=f"local:tiny@{student}", cold=None)
        recalled = recall(site, Record(start=acting))
    if usable:
        assert recalled == plan
        return
    assert recalled.policy == ""
    assert recalled.dropped == {Reason.STALE.value: 4}
    assert len(recalled.attempts) == 6
    assert {each.id for each in plan.attempts}.isdisjoint(each.id for each in recalled.attempts)
    assert "4 made ahead are left out" in list(recalled.lines())[-1]


def test_rounds_practised_ahead_learn_from_one_version_earlier_and_from_nothing_older(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    sizes = {"ahead": 1, "exam": 4}
    config = small_config(tmp_path / "home", model, seed=3, learn=sizes)
    learn(config, 2, as_json=True)
    with open_rounds(config) as rounds, make_store(config) as store:
        first, second = (record_of(rounds.reports(each.id)) for each in rounds.all())
        made = [list(store.episodes(run=f"{each.id}-practice")) for each in rounds.all()]
    assert first.recall.policy == ""
    assert second.recall == second.ahead
    assert second.recall.policy == first.start.student
    for record, episodes in zip((first, second), made, strict=True):
        assert {each.id for each in episodes} == {each.id for each in record.recall.attempts}
        assert len(episodes) == 36 == record.practise.episodes
        assert {f"local:{each.policy}" for each in episodes} == {first.start.student}
