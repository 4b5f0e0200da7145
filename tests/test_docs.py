"""What the documentation says is compared with what is."""

import re

import pytest
from typer.testing import CliRunner

from apprentice.cli import app
from docs.tree import FILE, ROOT, tree

README = ROOT / "README.md"


def test_the_page_of_the_tree_is_the_tree():
    assert FILE.read_text(encoding="utf-8") == tree(), "run: python -m docs.tree"


def test_every_module_says_what_it_is():
    nameless = [line for line in tree().splitlines() if line.rstrip().endswith(".py")]
    assert nameless == []


def _commands():
    text = README.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^    apprentice ([a-z]+(?: [a-z]+)?)", text, re.MULTILINE)))


@pytest.mark.parametrize("command", _commands())
def test_every_command_in_the_readme_exists(command):
    words = command.split()
    found = CliRunner().invoke(app, [*words, "--help"])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize("flag", ["--resume", "--episodes", "--policy", "--env", "--games"])
def test_every_flag_of_run_in_the_readme_exists(flag):
    assert flag in README.read_text(encoding="utf-8")
    assert flag in CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
