import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bank_builders import a_demonstration, a_lesson, a_skill, a_source
from memory.knowledge.items import Move, Standing
from memory.knowledge.skill_md import SkillFileError, export, read, write

HOSTILE = [
    "---\nname: evil\n---",
    "-" * 50 + " --- ----",
    "```\n# not a heading\n~~~ ``` ````",
    "\x00\x07\x1b[2J\x7f\x85\u2028\u2029\ufeff\r\r\n\t",
    "' \" \\ : # & * ! | > % @ ` {{x}} [a] <b> &amp; null ~ yes 1e3 0x1f 2026-11-23",
    "\N{PILE OF POO} \N{ARABIC LETTER ALEF} \u202e éa\u0301",
    " leading and trailing \n\n",
    "",
    "word " * 5_000,
]


def validate(home):
    return pytest.importorskip("skills_ref").validate(home)


@pytest.fixture(params=["skill", "lesson", "demonstration"])
def item(request):
    many = a_source("e1", "e2", critic="critic-1, critic-2")
    changes = {"version": 3, "standing": Standing.ACTIVE, "source": many}
    match request.param:
        case "skill":
            return a_skill(id="S9", demonstrations=("D3", "D4"), **changes)
        case "lesson":
            return a_lesson(id="L17", critique="C2", **changes)
        case _:
            return a_demonstration(id="D5", **changes)


def spoiled(item, text):
    """Return the item with a text in every place that takes any."""
    match type(item).__name__:
        case "Skill":
            words = {"purpose": f"p{text}", "precondition": text, "procedure": (text, "{object}")}
            return replace(item, kind=text, parameters=("object",), **words)
        case "Lesson":
            words = {"when": f"w{text}", "fault": f"f{text}", "instead": f"i{text}"}
            return replace(item, kind=text, why=text, unless=text, environment=text, **words)
        case _:
            moves = (Move(observation=text, action=text), Move(observation="", action=text))
            return replace(item, goal=text, situation=text, task=text, moves=moves)


def test_what_is_written_is_read_back_without_loss(tmp_path, item):
    assert read(write(item, tmp_path)) == item


def test_the_reference_validator_accepts_what_is_written(tmp_path, item):
    assert validate(write(item, tmp_path)) == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_come_back_and_are_accepted(tmp_path, item, text):
    home = write(spoiled(item, text), tmp_path)
    assert read(home) == spoiled(item, text)
    assert validate(home) == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text() | st.text(alphabet="-\n`'\" #:{}\\x2d\r\x85", max_size=60))
def test_any_words_come_back_and_are_accepted(tmp_path, item, text):
    home = write(spoiled(item, text), tmp_path)
    assert read(home) == spoiled(item, text)
    assert validate(home) == []


def test_the_front_matter_holds_what_the_format_allows_and_only_strings():
    files = export(a_skill(id="S9"))
    front = yaml.safe_load(files["SKILL.md"].split("---", 2)[1])
    assert set(front) == {"name", "description", "metadata"}
    assert front["name"] == "cool-a-thing"
    assert front["description"] == "Cools a thing. Use it when the goal says cool."
    assert all(isinstance(value, str) for value in front["metadata"].values())
    assert all(key.startswith("apprentice-") for key in front["metadata"])
    assert json.loads(front["metadata"]["apprentice-procedure"])[0] == "open {fridge}"
    assert json.loads(front["metadata"]["apprentice-source"])["episodes"] == ["e1"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (a_lesson(id="L1", instead="open it", when="it is shut"), "open it. Use when it is shut."),
        (a_lesson(id="L1", instead="Open it!", when="Shut."), "Open it! Use when Shut."),
        (
            a_demonstration(id="D1", goal="cool a mug."),
            "How someone did this: cool a mug. Use for the like in household.",
        ),
    ],
)
def test_a_description_is_made_of_sentences(item, said):
    front = yaml.safe_load(export(item)["SKILL.md"].split("---", 2)[1])
    assert front["description"] == said


def test_the_body_tells_a_reader_what_to_do():
    body = export(a_skill(id="S9"))["SKILL.md"].split("---", 2)[2]
    assert "1. `open {fridge}`\n2. `cool {object} with {fridge}`" in body
    lesson = export(a_lesson(id="L17", instead="# shout\n```"))["SKILL.md"]
    assert "## What to do instead\n\n> # shout\n> ```\n" in lesson
    assert "name: lesson-17\n" in lesson


def test_a_demonstration_keeps_its_long_observations_in_a_reference(tmp_path):
    home = write(a_demonstration(id="D5"), tmp_path)
    assert home == tmp_path / "demonstration-5"
    text = (home / "SKILL.md").read_text()
    assert "1. `open fridge 1`" in text
    assert "You arrive" not in text
    moves = json.loads((home / "references/moves.json").read_text())
    assert moves[0] == {"observation": "You arrive at fridge 1.", "action": "open fridge 1"}


def test_a_later_version_replaces_its_own_export_and_nothing_else(tmp_path):
    home = write(a_skill(id="S9"), tmp_path)
    later = a_skill(id="S9", version=2, precondition="none")
    assert write(later, tmp_path) == home
    assert read(home) == later
    with pytest.raises(SkillFileError, match="exists and is not S10; move it away"):
        write(a_skill(id="S10"), tmp_path)
    (tmp_path / "lesson-17").mkdir()
    with pytest.raises(SkillFileError, match="move it away"):
        write(a_lesson(id="L17"), tmp_path)


def test_an_item_of_no_bank_and_one_that_may_not_enter_are_not_exported():
    with pytest.raises(SkillFileError, match="add it to a bank first"):
        export(a_lesson())
    for bad in (a_skill(id="S1", name="../../etc"), a_lesson(id="L1", when="\ud800")):
        with pytest.raises(SkillFileError, match="cannot export"):
            export(bad)


def edited(home, old, new):
    path = home / "SKILL.md"
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())
    return home


def test_a_field_edited_by_hand_is_read(tmp_path):
    home = write(a_lesson(id="L17"), tmp_path)
    edited(home, "apprentice-unless: it stands open", "apprentice-unless: 'never'")
    assert read(home) == a_lesson(id="L17", unless="never")
    (home / "SKILL.md").write_bytes((home / "SKILL.md").read_bytes().replace(b"\n", b"\r\n"))
    assert read(home) == a_lesson(id="L17", unless="never")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("> open the fridge first", "> kick it", "changed in its description or body"),
        ("description: open", "description: kick", "changed in its description or body"),
        ("name: lesson-17", "name: lesson-18", "is named 'lesson-18', not 'lesson-17'"),
        ("apprentice-type: lesson", "apprentice-type: poem", "has no apprentice-type"),
        ("apprentice-", "theirs-", "has no apprentice-type"),
        ("apprentice-why", "apprentice-wherefore", "which is no field of ours"),
        ("apprentice-standing: candidate", "apprentice-standing: king", "apprentice-standing"),
        ("apprentice-version: '1'", "apprentice-version: one", "holds no JSON"),
        ("apprentice-version: '1'", "apprentice-version:\n    x: 1", "is no text"),
        ("apprentice-version: '1'", "apprentice-version: '" + "[" * 10**5 + "'", "no JSON"),
        ("apprentice-kind: cool", "apprentice-kind: &a [*a, *a]", "has [] or {}"),
        ("apprentice-kind: cool", "apprentice-kind: " + "[" * 10**6, "has [] or {}"),
        ("apprentice-kind: cool", "apprentice-kind: !!python/object:os.system x", "lesson"),
        ("apprentice-instead: open the fridge first", "apprentice-instead: ''", "teaches nothing"),
        ("apprentice-kind: cool", "apprentice-kind: " + "- " * 10**4, "holds no YAML"),
        ("metadata:", "metadata: x\nothers:", "has no apprentice-type"),
        ("---\nname", "name", "does not begin with ---"),
    ],
)
def test_what_was_not_written_here_is_refused_in_one_line(tmp_path, old, new, said):
    home = edited(write(a_lesson(id="L17"), tmp_path), old, new)
    if "python/object" in new:
        assert read(home).kind == "x", "a tag is a name that means nothing"
        return
    with pytest.raises(SkillFileError) as caught:
        read(home)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_files_that_are_missing_or_no_text_are_refused_in_one_line(tmp_path):
    with pytest.raises(SkillFileError, match="cannot read"):
        read(tmp_path / "nowhere")
    home = write(a_demonstration(id="D5"), tmp_path)
    (home / "references/moves.json").unlink()
    with pytest.raises(SkillFileError, match=r"cannot read .*moves\.json"):
        read(home)
    Path(home / "SKILL.md").write_bytes(b"---\nname: \xff\n---\n")
    with pytest.raises(SkillFileError, match="is not UTF-8 at byte 10"):
        read(home)
    (home / "SKILL.md").write_bytes(b"-" * 8_000_001)
    with pytest.raises(SkillFileError, match="larger than 8000000 bytes"):
        read(home)
