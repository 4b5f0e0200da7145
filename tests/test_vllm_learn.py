"""Whoever acts on vLLM learns here: one server, and each version loaded beside the same base."""

import re
import sys
from collections import Counter

import pytest

from agent.endpoints.endpoint import EndpointError
from apprentice.build import make_store
from apprentice.commands.learn import learn, open_rounds
from apprentice.findings.sample import name_of
from apprentice.loop.reports import record_of
from apprentice.settings.acting import Named
from apprentice.vllm.server import NoVllmError
from apprentice.vllm.sharing import FullTrainingError, serving
from tiny_learner import install_workshop, save_tiny_model, small_config
from vllm_stand_in import install_stand_in


@pytest.fixture(scope="module", autouse=True)
def workshop(tmp_path_factory):
    site = str(install_workshop(tmp_path_factory.mktemp("site")))
    sys.path.insert(0, site)
    yield
    sys.path.remove(site)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def _config(home, model, **changes):
    plain = {
        "policy": {"use": f"vllm:{model}"},
        "distill": {"trained": "lora"},
        "endpoint": {"retries": 1},
        "vllm": {"python": sys.executable},
        "learn": {"tasks": 3, "attempts": 4, "exam": 4},
        "gate": {"anchors": 0, "pairs": 4},
    }
    return small_config(home, model, seed=3, **{**plain, **changes})


def _versions(episodes):
    return {step.completion.version for each in episodes for step in each.steps}


@pytest.mark.slow
def test_a_round_on_vllm_whose_server_dies_goes_on_with_the_next_one(tmp_path, model, monkeypatch):
    for name, value in install_stand_in(tmp_path).items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    mortal = {"python": sys.executable, "options": ["--dies-at", "40"]}
    with pytest.raises(EndpointError, match=r"our vLLM server ended.*is kept; begin again"):
        learn(_config(home, model, vllm=mortal), 1, as_json=True)
    config = _config(home, model)
    with make_store(config) as store:
        kept = {each.id for each in store.episodes()}
    learn(config, 1, as_json=True)
    with open_rounds(config) as rounds, make_store(config) as store:
        (round,) = rounds.all()
        record = record_of(rounds.reports(round.id))
        made = list(store.episodes(run=f"{round.id}-practice"))
        compared = record.examine.gated.compared
        theirs, ours = (
            [store.get(each.episode) for each in sheet.answers]
            for sheet in (compared.a, compared.b)
        )
    student, candidate = record.start.student, record.distil.candidate
    assert student.startswith(f"vllm:{model}@cold-")
    adapter = Named.parse(candidate).adapter  # the round's, or where that was stopped its student
    assert candidate == f"vllm:{model}@{adapter}"
    assert Counter(each.id for each in made) == Counter(a.id for a in record.recall.attempts)
    assert kept <= {each.id for each in made}
    assert {each.policy for each in made} == {name_of(student)}
    assert {each.policy for each in ours} == {name_of(candidate)}
    assert {each.policy for each in theirs} == {f"vllm:{model}"}
    (practised,), (examined,) = _versions(made), _versions(ours)
    assert practised.startswith("cold-")
    assert re.fullmatch(rf"{adapter}-[0-9a-f]{{8}}", examined)
    assert _versions(theirs) == {str(model)}
    said = (home / "vllm.log").read_text().splitlines()
    assert said.count(f"serving {model}") == 2  # the one that died, and one for all that was left


def test_what_could_not_be_loaded_into_a_server_is_not_trained(tmp_path, model):
    config = _config(tmp_path, model, distill={"trained": "full"})
    with pytest.raises(FullTrainingError, match=r"set distill\.trained to lora"):
        learn(config, 1, as_json=True)


def test_a_server_elsewhere_is_used_as_it_is_and_without_any_one_line_says_so(tmp_path, model):
    config = _config(tmp_path, model, vllm={"url": "http://gpu-7:8000/v1", "python": None})
    with serving(config, tmp_path) as acting:
        assert acting == config
    with (
        pytest.raises(NoVllmError, match=r"set vllm\.url"),
        serving(_config(tmp_path, model, vllm={"python": None}), tmp_path),
    ):
        pass
