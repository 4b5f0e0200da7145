"""The library as a user sees it from the terminal."""

import json
import sys
from dataclasses import replace

import pytest

from apprentice.cli import main
from bank_builders import a_critique, a_demonstration, a_lesson, a_skill, a_source
from environments.episode import Ending
from memory.bank.bank import Bank
from memory.knowledge.items import Demonstration, Lesson, Skill, Standing
from memory.store.store import Store
from store_worker import MORNING, an_episode


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command here and returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def asking(*args):
        monkeypatch.setattr(sys, "argv", ["apprentice", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out or printed.err

    return asking


@pytest.fixture
def library(tmp_path):
    """Return (lesson, demonstration, skill) as a bank holds them, and leave it as the default."""
    home = tmp_path / ".apprentice"
    home.mkdir()
    with Store.open(home / "apprentice.sqlite") as store:
        store.add_all(an_episode(id, ending=Ending.FAILED) for id in ("e1", "e2"))
    with Bank.open(home / "apprentice.sqlite") as bank:
        critique = bank.criticize(a_critique())
        lesson = bank.add(a_lesson(critique=critique.id))
        return lesson, bank.add(a_demonstration("e2")), bank.add(a_skill("e2"))


def test_every_item_is_listed_newest_first(ask, library):
    code, printed = ask("skills", "list", "--json")
    assert code == 0
    assert [item["id"] for item in json.loads(printed)] == [item.id for item in library[::-1]]
    table = ask("skills", "list")[1]
    assert all(item.id in table for item in library)
    assert library[0].instead in table


def test_a_search_finds_by_words(ask, library):
    lesson = library[0]
    found = json.loads(ask("skills", "search", "fridge still closed", "--json")[1])
    assert found[0]["id"] == lesson.id
    assert json.loads(ask("skills", "search", "submarine", "--json")[1]) == []


def test_an_item_is_shown_with_what_it_did(ask, library):
    shown = ask("skills", "show", library[0].id)[1]
    assert library[0].instead in shown
    assert "not recalled yet" in shown


def test_why_walks_down_to_the_episode(ask, library):
    traced = ask("skills", "why", library[0].id)[1]
    assert library[0].critique in traced
    assert "e1" in traced
    tree = json.loads(ask("skills", "why", library[0].id, "--json")[1])
    assert library[0].critique in json.dumps(tree["grounds"])


def test_a_person_may_approve_and_retire_and_the_reason_is_kept(ask, library, tmp_path):
    lesson = library[0]
    assert "active" in ask("skills", "approve", lesson.id, "--why", "it is obvious")[1]
    assert "retired" in ask("skills", "retire", lesson.id, "--why", "it was wrong")[1]
    code, said = ask("skills", "retire", lesson.id)
    assert (code, said.count("\n")) == (2, 1)
    assert f"{lesson.id} is retired" in said
    with Bank.open(tmp_path / ".apprentice" / "apprentice.sqlite") as bank:
        told = [(entry.by, entry.why) for entry in bank.history(lesson.id)]
    assert told[-2:] == [("user", "it is obvious"), ("user", "it was wrong")]


def test_versions_are_compared_line_by_line(ask, library, tmp_path):
    lesson = library[0]
    with Bank.open(tmp_path / ".apprentice" / "apprentice.sqlite") as bank:
        bank.revise(replace(lesson, instead="look whether it stands open, then open it"))
    assert "has no version before 1" in ask("skills", "diff", library[1].id)[1]
    lines = json.loads(ask("skills", "diff", lesson.id, "--json")[1])["diff"]
    assert any(line.startswith("-") and "open the fridge first" in line for line in lines)
    assert any(line.startswith("+") and "stands open, then open" in line for line in lines)


def test_what_is_exported_comes_back_as_candidates_elsewhere(ask, library, tmp_path):
    for item in library:
        ask("skills", "approve", item.id)
    out = tmp_path / "out"
    assert json.loads(ask("skills", "export", str(out), "--json")[1])["items"] == 3
    assert json.loads(ask("skills", "import", str(out), "--json")[1])["items"] == 0  # all known
    other = tmp_path / "other"
    other.mkdir()
    with Store.open(other / "apprentice.sqlite") as store:
        store.add_all(an_episode(id, ending=Ending.FAILED) for id in ("e1", "e2"))
    with Bank.open(other / "apprentice.sqlite") as bank:
        bank.criticize(a_critique())
    code, printed = ask("skills", "import", str(out), "--home", str(other), "--json")
    assert (code, json.loads(printed)["items"]) == (0, 3), printed
    stood = json.loads(ask("skills", "list", "--home", str(other), "--json")[1])
    assert {item["standing"] for item in stood} == {"candidate"}


def count(ask, *args):
    return json.loads(ask(*args, "--json")[1])["items"]


def test_what_was_edited_by_hand_comes_back_as_a_version_that_has_to_prove_itself(
    ask, library, tmp_path
):
    lesson, out = library[0], tmp_path / "out"
    ask("skills", "approve", lesson.id)
    assert count(ask, "skills", "export", str(out)) == 1
    (file,) = out.glob("*/SKILL.md")
    exported = file.read_text("utf-8")
    file.write_text(exported.replace("apprentice-unless: ", "apprentice-unless: never; "), "utf-8")
    assert count(ask, "skills", "import", str(out)) == 1
    with Bank.open(tmp_path / ".apprentice" / "apprentice.sqlite") as bank:
        edited = bank.get(lesson.id)
    assert edited.unless == f"never; {lesson.unless}"
    assert (edited.version, edited.standing) == (2, Standing.CANDIDATE)
    code, said = ask("skills", "import", str(out))
    assert (code, said.count("\n")) == (2, 1)
    assert "is not its current one" in said
    file.write_text(exported, "utf-8")  # an old export that nobody edited says nothing new
    assert count(ask, "skills", "import", str(out)) == 0


def test_an_import_into_another_home_names_what_is_there_and_is_done_once(ask, tmp_path):
    homes = [tmp_path / name for name in (".apprentice", "other")]
    for home in homes:
        home.mkdir()
        with Store.open(home / "apprentice.sqlite") as store:
            store.add_all(an_episode(id, ending=Ending.FAILED) for id in ("e1", "e2"))
    with Bank.open(homes[0] / "apprentice.sqlite") as bank:
        critique = bank.criticize(a_critique())
        shown = bank.add(a_demonstration("e2"))
        items = [shown, bank.add(a_lesson(critique=critique.id))]
        items.append(bank.add(a_skill("e2", demonstrations=(shown.id,))))
    with Bank.open(homes[1] / "apprentice.sqlite") as bank:
        for number in range(len(items)):  # the ids mean something else here
            late = a_source("e1", made=MORNING.replace(year=2027))
            bank.add(a_lesson(when=f"elsewhere {number}", environment="code", source=late))
    out = str(tmp_path / "out")
    assert count(ask, "skills", "export", out, "--standing", "candidate") == 3
    assert count(ask, "skills", "import", out, "--home", str(homes[1])) == 3
    assert count(ask, "skills", "import", out, "--home", str(homes[1])) == 0
    with Bank.open(homes[1] / "apprentice.sqlite") as bank:
        (lesson,) = bank.items(type=Lesson, environment="household")
        (demonstration,) = bank.items(type=Demonstration)
        (skill,) = bank.items(type=Skill)
    assert lesson.critique == ""
    assert demonstration.id != shown.id
    assert skill.demonstrations == (demonstration.id,)


def test_forgetting_says_first_what_would_go(ask, library):
    code, said = ask("episodes", "forget", "e1", "--json")
    plan = json.loads(said)
    assert code == 0
    assert not plan["done"]
    assert {library[0].id, library[0].critique} <= set(plan["removed"])
    assert len(json.loads(ask("skills", "list", "--json")[1])) == 3
    ask("episodes", "forget", "e1", "--yes")
    left = json.loads(ask("skills", "list", "--json")[1])
    assert library[0].id not in {item["id"] for item in left}


@pytest.mark.usefixtures("library")
def test_bank_journal_and_index_agree(ask):
    code, said = ask("memory", "check", "--json")
    assert (code, json.loads(said)["faults"]) == (0, [])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("args", [("show", "L99"), ("why", "C99"), ("import", "nowhere")])
def test_a_slip_is_answered_in_one_line(ask, args):
    code, said = ask("skills", *args)
    assert (code, said.count("\n")) == (2, 1)
    assert args[1] in said
