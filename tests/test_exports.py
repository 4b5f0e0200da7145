import json
from dataclasses import replace

import pytest
from pyarrow import parquet

from apprentice.serve.export_form import Form
from apprentice.serve.exports import ExportError, rows, write
from bank_builders import a_critique, a_source
from environments.episode import Completion, Ending, Split, Step
from memory.bank.bank import Bank
from memory.knowledge.items import Citation
from memory.store.store import Store
from store_worker import an_episode

RULES = "You live in a house."


def a_step(seen, done):
    return Step(observation=seen, completion=Completion(text=done), action=done)


def lived(id, *steps, ending=Ending.SOLVED, **changes):
    return an_episode(id, steps=tuple(a_step(*each) for each in steps), ending=ending, **changes)


GOOD = lived("good", ("Here is a fridge.", "open fridge"), ("It is open.", "cool mug"))
BAD = lived(
    "bad", ("Here is a fridge.", "open fridge"), ("It is open.", "wait"), ending=Ending.FAILED
)
EXAM = lived("exam", ("Here is a fridge.", "look"))
EXAM = replace(EXAM, task=replace(EXAM.task, split=Split.DEV, id="household/43"))
BROKEN = replace(BAD, id="broken", ending=Ending.BROKEN, error="Traceback")


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "store.db"
    with Store.open(path) as store, Bank.open(path) as bank:
        store.add_all([GOOD, BAD, EXAM, BROKEN])
        cited = (Citation(step=1, quote="It is open."),)
        bank.criticize(a_critique("bad", citations=cited, source=a_source("bad")))
        yield store, bank


def exported(kept, form):
    return list(rows(form, *kept, RULES))


def talk(*texts):
    roles = ("system", "user", *("assistant", "user") * len(texts))
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


def test_episodes_are_whole_conversations_without_what_memory_said(kept):
    found = {row["episode"]: row for row in exported(kept, Form.EPISODES)}
    assert found.keys() == {"good", "bad"}
    assert found["good"]["messages"] == talk(
        RULES, "Here is a fridge.", "open fridge", "It is open.", "cool mug", "You won!"
    )
    assert GOOD.briefing  # there was something to leave out


def test_demonstrations_are_the_steps_of_solved_train_episodes(kept):
    first, second = exported(kept, Form.DEMONSTRATIONS)
    assert first["prompt"] == talk(RULES, "Here is a fridge.")
    assert second["prompt"] == talk(RULES, "Here is a fridge.", "open fridge", "It is open.")
    assert second["completion"] == [{"role": "assistant", "content": "cool mug"}]


def test_a_preference_is_where_a_solved_attempt_left_another_it_had_seen_the_same_as(kept):
    (row,) = exported(kept, Form.PREFERENCES)
    assert row["prompt"][-1] == {"role": "user", "content": "It is open."}
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("cool mug", "wait")


def test_attempts_that_saw_something_else_are_not_compared(kept):
    store, bank = kept
    bank.forget("bad", "for the test", GOOD.started)
    store.add(lived("other", ("Here is a sink.", "wait"), ending=Ending.FAILED))
    assert exported(kept, Form.PREFERENCES) == []


def test_privileged_rows_carry_the_critic_s_hint_beside_the_prompt(kept):
    (row,) = exported(kept, Form.PRIVILEGED)
    assert row["privileged_context"] == "Open the fridge before you cool."
    assert row["completion"][0]["content"] == "wait"
    assert all("cool." not in message["content"] for message in row["prompt"])


@pytest.mark.parametrize("form", Form)
def test_nothing_that_decides_what_is_adopted_is_exported(kept, form):
    assert "exam" not in {row["episode"] for row in exported(kept, form)}


@pytest.mark.parametrize("form", Form)
def test_json_lines_and_parquet_hold_the_same_rows(kept, form, tmp_path):
    lines, columns = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    assert write(exported(kept, form), lines) == write(exported(kept, form), columns) > 0
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert parquet.read_table(columns).to_pylist() == told


def test_no_rows_are_an_empty_file(tmp_path):
    assert write([], tmp_path / "none.parquet") == 0
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path):
    with pytest.raises(ExportError, match="choose another"):
        write([], tmp_path / "nowhere" / "rows.jsonl")
