"""Who acts is named exactly: the model, and the adapter that is promoted now or was then."""

import json
from dataclasses import replace

import pytest

from apprentice.settings.acting import ADAPTERS, Named, find_acting, settled
from apprentice.settings.config import Config
from command import apprentice, one_line
from distill.models.adapters import LINEAGE, Adapters, BadNameError, NotAnAdapterError
from environments.errors import UnknownNameError
from learning import a_lineage, tiny_student, tokenizer

FIRST = a_lineage(base="smollm2-135m", episodes=("e1",), seed=7)


@pytest.fixture
def home(tmp_path):
    """Return settings whose home holds two adapters: one of the default model, one of another."""
    kept = Adapters(tmp_path / ADAPTERS)
    kept.add(tiny_student(), tokenizer(), FIRST)
    kept.add(tiny_student(), tokenizer(), replace(FIRST, name="strange", base="elsewhere/model"))
    return Config(home=tmp_path)


def using(config, use):
    return config.model_copy(update={"policy": config.policy.model_copy(update={"use": use})})


def exactly(config, use):
    return settled(using(config, use)).policy.use


@pytest.mark.parametrize(
    "use",
    [
        "random",
        "openai:gpt@x",
        "local",
        "local:m",
        "local@a",
        "local:m@base",
        "local:o/m@/p/a",
        "vllm",
        "vllm:m",
        "vllm@a",
        "vllm:o/m@/p/a",
    ],
)
def test_a_setting_reads_back_as_it_was_written(use):
    assert str(Named.parse(use)) == use


def test_a_policy_on_vllm_acts_with_the_weights_that_the_local_one_would(home):
    Adapters(home.home / ADAPTERS).promote("first")
    assert exactly(home, "vllm") == "vllm:smollm2-135m@first"
    assert exactly(home, "vllm@base") == "vllm:smollm2-135m@base"


def test_only_policies_with_weights_of_ours_have_adapters():
    assert Named.parse("openai:gpt@x") == Named("openai", "gpt@x", "")
    assert Named.parse("local@a") == Named("local", "", "a")


def test_without_a_promotion_the_base_acts(home):
    assert exactly(home, "local") == "local:smollm2-135m@base"


def test_the_promoted_adapter_acts_unless_another_is_named(home):
    Adapters(home.home / ADAPTERS).promote("first")
    assert exactly(home, "local") == "local:smollm2-135m@first"
    assert exactly(home, "local:smollm2-135m") == "local:smollm2-135m@first"
    assert exactly(home, "local@base") == "local:smollm2-135m@base"
    assert exactly(home, "local:elsewhere/model") == "local:elsewhere/model@base"
    assert exactly(home, "local@strange") == "local:elsewhere/model@strange"


def test_what_was_settled_stays_when_another_is_promoted(home):
    kept = Adapters(home.home / ADAPTERS)
    kept.promote("first")
    then = settled(home)
    kept.roll_back()
    assert settled(then).policy.use == "local:smollm2-135m@first"


def test_an_adapter_is_found_by_path(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / ADAPTERS)
    found = find_acting(home, Named("local", "", "./first"))
    assert (found.folder, found.model) == (tmp_path / ADAPTERS / "first", "smollm2-135m")
    assert found.use == f"local:smollm2-135m@{tmp_path / ADAPTERS / 'first'}"


def test_a_folder_that_is_no_adapter_is_told(home, tmp_path):
    with pytest.raises(NotAnAdapterError, match=LINEAGE):
        find_acting(home, Named("local", "", str(tmp_path)))


def test_an_adapter_cannot_be_called_what_means_none(home):
    with pytest.raises(BadNameError, match="'base'"):
        Adapters(home.home / ADAPTERS).add(tiny_student(), tokenizer(), replace(FIRST, name="base"))


def test_an_unknown_adapter_is_told_with_the_known_ones(home):
    with pytest.raises(UnknownNameError, match="known: first, strange"):
        exactly(home, "local@fisrt")


def test_an_adapter_of_another_model_is_refused_in_one_line(home, tmp_path):
    done = apprentice("run", "--policy", "local:smollm2-135m@strange", "--home", home.home,
                      cwd=tmp_path)  # fmt: skip
    assert (
        "made from 'elsewhere/model', not from 'smollm2-135m'; use local:elsewhere/model@strange"
        in one_line(done)
    )


def test_a_run_writes_down_exactly_who_acts(home):
    from apprentice.commands.run import new_run
    from environments.episode import Split

    Adapters(home.home / ADAPTERS).promote("first")
    run = new_run(settled(home), Split.TRAIN, 1)
    assert run.policy == "local:smollm2-135m@first"
    assert json.loads(run.settings)["policy"]["use"] == run.policy
