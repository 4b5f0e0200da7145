"""Attempts of a policy of long ago are not learned from, and those left out are counted."""

import json
from dataclasses import replace

import pytest

from apprentice.build import make_store
from apprentice.distilling.staleness import ages, fresh
from apprentice.settings.acting import Acting
from distill.models.adapters import LINEAGE, Adapters
from distill.sequences.encode import Reason
from distilling import library_of, offered, practised, settings_of
from tiny_learner import save_tiny_model


def _descent(folder, *names):
    parent = None
    for name in names:
        (folder / name).mkdir(parents=True)
        told = {"name": name, "base": "small", "parent": parent, "trained": "full"}
        told |= {"objective": "reward", "episodes": [], "seed": 0, "versions": {}}
        told |= {"made": "2026-01-02T12:00:00+00:00", "walkthroughs": []}
        (folder / name / LINEAGE).write_text(json.dumps(told))
        parent = name
    return Adapters(folder)


def test_an_age_is_counted_along_the_lineage_to_the_bare_model(tmp_path):
    adapters = _descent(tmp_path, "one", "two", "three")
    found = ages(adapters, Acting("local", "small", "two", tmp_path / "two"))
    here = {"small@two": 0, "small@one": 1, "small": 2}
    assert found == here | {f"vllm:{name}": age for name, age in here.items()}
    assert ages(adapters, Acting("local", "small", "base", None)) == {"small": 0, "vllm:small": 0}


@pytest.mark.parametrize(
    ("policy", "most", "usable"),
    [
        ("small@two", 0, True),
        ("small@one", 0, False),
        ("small@one", 1, True),
        ("small@three", 9, False),  # it comes after, or was never promoted
        ("random", 9, False),
        ("random", None, True),
    ],
)
def test_only_ancestors_within_the_bound_are_fresh(policy, most, usable):
    assert fresh(policy, {"small@two": 0, "small@one": 1}, most) is usable


def test_attempts_of_others_are_left_out_and_counted_once_a_bound_is_set(tmp_path):
    base = save_tiny_model(tmp_path / "model")
    config = practised(settings_of(tmp_path / "home", base), 36)
    with make_store(config) as store:
        mine = list(store.episodes())
        store.add_all(
            replace(each, id=f"old-{each.id}", policy=f"{each.policy}@gone") for each in mine
        )
    bound = config.model_copy(
        update={"distill": config.distill.model_copy(update={"staleness": 0})}
    )
    with library_of(config) as library:
        loose, strict = offered(config, library), offered(bound, library)
    assert loose.dropped[Reason.STALE] == 0
    assert any(id.startswith("old-") for id in loose.order.attempts)
    assert strict.dropped[Reason.STALE] == len(mine)
    assert set(strict.order.attempts) <= {each.id for each in mine}
    assert strict.order.attempts
