"""`apprentice search`: from searches of train tasks to memory, an adapter and its value head."""

import asyncio
import json

import pytest
import torch
from safetensors.torch import load_file

from agent.search.critics import Aspect
from agent.search.tree import Branch
from apprentice.build import make_library, make_rig
from apprentice.commands.learn import check
from apprentice.commands.search import NoWeightsError, search
from apprentice.runs.searching import TREES, _value, head_file
from environments.episode import Split
from memory.knowledge.items import Demonstration, Lesson
from tiny_learner import importing, install_world, save_tiny_model, small_config

TASKS = 3


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", autouse=True)
def workshop(tmp_path_factory):
    site = install_world(tmp_path_factory.mktemp("site"), "copied", "worlds:Copied")
    with importing(site):
        yield


def a_config(home, model):
    return small_config(
        home,
        model,
        seed=2,
        environment={"name": "copied"},
        policy={"temperature": 4.0},
        limits={"steps": 4},
        search={"budget": 40, "at_once": 4},
        critic={"use": "evidence"},
        distill={"passes": 1, "exam": False},
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return settings under which three tasks were searched and learned from, and what was said."""
    place = tmp_path_factory.mktemp("searched")
    config = a_config(place / "home", save_tiny_model(place / "tiny"))
    search(config, TASKS, value=False, as_json=True)
    return config


@pytest.fixture(scope="module")
def kept(home):
    with make_library(home) as library:
        lineage = library.adapters.lineage("searched-1")
        items = library.bank.items(type=Demonstration)
        rows = library.store.rows(limit=1_000)
    return lineage, items, rows


def test_ways_found_are_demonstrations_in_memory_no_more_of_a_task_than_its_cap(home, kept):
    _, items, rows = kept
    assert items
    solved = {row.id for row in rows if row.ending.value == "solved"}
    for item in items:
        assert item.replayed
        assert set(item.source.episodes) <= solved
    by_task = [item.task for item in items]
    assert max(map(by_task.count, by_task)) <= 2
    assert {row.policy for row in rows} == {f"{home.policy.use.rpartition(':')[2]}+search40"}


def test_the_adapter_rests_on_stored_train_episodes_alone(home, kept, capsys):
    lineage, _, rows = kept
    assert lineage.objective == "search"
    assert set(lineage.episodes) <= {row.id for row in rows}
    assert {row.split for row in rows} == {Split.TRAIN}
    capsys.readouterr()
    assert check(home, as_json=True)
    assert json.loads(capsys.readouterr().out)["leaks"] == []


def test_what_was_preferred_and_valued_is_in_its_report(home):
    told = json.loads((home.home / "adapters" / "searched-1.report.json").read_text())
    preferred, valued = (int("".join(filter(str.isdigit, each))) for each in told["remarks"])
    assert preferred > 0
    assert valued > 8
    assert told["steps"] > preferred  # ways were imitated too
    assert told["alarm"] is None


def test_the_weights_moved_and_the_head_lies_beside_them(home):
    base = home.policy.use.removeprefix("local:")
    before = load_file(f"{base}/model.safetensors")
    after = load_file(home.home / "adapters" / "searched-1" / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before.keys() & after.keys())
    head = load_file(head_file(home.home, "searched-1"))
    assert head["weight"].isfinite().all()
    assert float(head["weight"].abs().sum()) > 0


def test_failed_branches_are_criticized_and_become_lessons(home):
    with make_library(home) as library:
        failed = [
            row
            for row in library.store.rows(limit=1_000)
            if row.run.endswith("-found") and row.ending.value != "solved"
        ]
        assert failed
        told = [each for row in failed for each in library.bank.critiques(row.id)]
        lessons = library.bank.items(type=Lesson)
    assert told
    assert lessons
    assert {id for each in lessons for id in each.source.episodes} & {each.id for each in failed}


def test_the_head_is_asked_by_a_search_of_the_adapter_and_by_no_other(home):
    acting = home.policy.model_copy(update={"use": f"{home.policy.use}@searched-1"})
    with make_rig(home.model_copy(update={"policy": acting})) as rig:
        critics = _value(rig.policy, rig.environment, home.home / TREES)
        tasks = rig.environment.tasks(Split.TRAIN)[:4]
        begun = [Branch(t, (), rig.environment.start(t).observation.text, None) for t in tasks]
        told = asyncio.run(critics[Aspect.VALUE].critic.score(begun))
        assert len(set(told)) > 1  # it reads the words
        assert all(-1 <= each <= 1 for each in told)
    with make_rig(home) as rig:
        assert _value(rig.policy, rig.environment, home.home / TREES) == {}


def test_who_has_no_weights_here_learns_nothing_from_a_search(tmp_path):
    config = a_config(tmp_path, tmp_path)
    config = config.model_copy(
        update={"policy": config.policy.model_copy(update={"use": "random"})}
    )
    with pytest.raises(NoWeightsError, match="'random' cannot learn"):
        search(config, 1, value=False, as_json=True)
