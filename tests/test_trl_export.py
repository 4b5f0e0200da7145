"""Our environments in TRL's own loop; what needs no TRL is tested without it."""

import inspect
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from environments.bridges.trl_export import Rollout, factory, rows
from environments.bridges.words import OVER, shown
from environments.environment import ongoing
from environments.episode import Split
from environments.registry import open_environment
from sections import Section
from worlds import Workshop

needs_trl = pytest.mark.skipif(find_spec("trl") is None, reason="pip install '.[trl]'")


def test_a_rollout_is_played_by_its_tool_and_rewarded_by_the_world():
    rollout = factory(Workshop())()
    first = rows(Workshop())[0]
    seen = rollout.reset(**first)
    assert seen.startswith("You stand at the door. Fetch the chisel.\n\nYou can:\n- go to attic\n")
    assert rollout.act("go to cellar").startswith("You are in the cellar.\n\nYou can:\n")
    assert rollout.get_reward() == 0.0
    assert rollout.act("take chisel") == f"You hold the chisel.\n{OVER}"
    assert rollout.act("take chisel") == OVER
    assert rollout.get_reward() == 1.0


def test_a_rollout_that_is_used_again_begins_anew():
    rollout = Rollout(Workshop())
    assert rollout.act("look around") == OVER
    for row in rows(Workshop())[:2]:
        rollout.reset(**row)
        assert rollout.get_reward() == 0.0
        for action in Workshop().gold(Workshop().task(row["task"])):
            rollout.act(action)
        assert rollout.get_reward() == 1.0


def test_the_rows_of_a_split_are_its_tasks():
    assert [row["task"] for row in rows(Workshop(), Split.DEV)] == [
        task.id for task in Workshop().tasks(Split.DEV)
    ]


def test_any_text_is_an_action_where_none_are_listed():
    assert shown(ongoing("A blank page.")) == "A blank page."


@needs_trl
def test_transformers_makes_a_tool_of_it():
    from transformers.utils import get_json_schema

    told = get_json_schema(Rollout(Workshop()).act)["function"]
    assert told["name"] == "act"
    assert told["parameters"]["required"] == ["action"]
    assert inspect.signature(Rollout.act).parameters["action"].annotation is str


@needs_trl
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_trl_practises_as_the_documentation_says_and_learns_of_the_reward(tmp_path, monkeypatch):
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.chdir(tmp_path)
    import torch
    import trl
    from transformers import LlamaForCausalLM

    from tiny_models import a_model, a_tokenizer

    template = Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja"
    tokenizer = a_tokenizer(template.read_text())
    tokenizer.pad_token = "<|endoftext|>"

    class Player(LlamaForCausalLM):
        """Random weights that learn; the first of each group plays by the book, the second not."""

        def generate(self, input_ids, **_):
            said = [tokenizer.decode(ids) for ids in input_ids]
            new = [tokenizer.encode(_next(text, row)) for row, text in enumerate(said)]
            longest = max(map(len, new))
            padded = [ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids in new]
            return torch.cat([input_ids, torch.tensor(padded)], dim=1)

    model = a_model(max_position_embeddings=16384)
    model.__class__ = Player
    before = model.lm_head.weight.detach().clone()
    given = {"model": model, "tokenizer": tokenizer}
    exec(Section("bridges.md", "TRL").code, given)
    (log,) = (each for each in given["trainer"].state.log_history if "reward" in each)
    assert log["rewards/Rollout/mean"] == 0.5
    assert log["tools/failure_frequency"] == 0.0
    assert not torch.equal(before, model.lm_head.weight)


def _next(text, row):
    """Return what the player writes after a transcript: the next action, or the end."""
    world = open_environment("household", train=8, dev=2, test=2)
    task = next(task for task in world.tasks(Split.TRAIN) if task.goal in text)
    done = text.count("<tool_response>")
    actions = world.gold(task) if row % 2 == 0 else ("look", "inventory")
    if done >= len(actions):
        return "That is all.<|im_end|>"
    call = {"name": "act", "arguments": {"action": actions[done]}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call><|im_end|>"
