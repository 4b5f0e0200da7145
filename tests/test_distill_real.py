"""The real SmolLM2 learns from a walkthrough, and acts with what it learned."""

import json

import pytest

from distilling import ask

SETTINGS = """
[environment]
settings = { kinds = ["pick_and_place_simple"], max_receptacles = 6, train = 1, dev = 2 }
[memory]
recall = "off"
[limits]
steps = 3
[distill]
preset = "cold-start"
demonstrations = 1
passes = 1
every = 1
exam = false
"""


@pytest.mark.slow
def test_the_default_model_learns_and_acts_with_its_adapter(tmp_path):
    (tmp_path / "apprentice.toml").write_text(SETTINGS)

    def told(*args):
        done = ask(tmp_path, *args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    assert told("run", "--episodes", 4, "--temperature", 1)["policy"] == "smollm2-135m"
    report = told("distill", "--once")["report"]
    assert (report["kept"], report["samples"], report["alarm"]) == (True, 1, None)
    assert [each["name"] for each in told("adapters", "list")] == ["distilled-1"]
    shown = told("adapters", "show", "distilled-1")
    assert (shown["base"], len(shown["walkthroughs"])) == ("smollm2-135m", 1)
    assert told("adapters", "blame", "distilled-1")["walkthroughs"] == shown["walkthroughs"]
    policy = "local:smollm2-135m@distilled-1"
    ran = told("run", "--episodes", 1, "--policy", policy)
    assert ran["policy"] == "smollm2-135m@distilled-1"
    listed = told("episodes", "list", "--limit", 1)
    assert listed[0]["policy"] == "smollm2-135m@distilled-1"
