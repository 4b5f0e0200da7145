"""What docs/windows.md tells one to type exists, flag by flag."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apprentice.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "windows.md"


def commands():
    lines = re.findall(r"^    (?:\w+=\S+ )?apprentice ([^#\n]+)", PAGE.read_text(), re.MULTILINE)
    return sorted({line.strip() for line in lines})


def test_the_page_holds_commands():
    assert len(commands()) >= 12


@pytest.mark.parametrize("command", commands())
def test_every_command_and_flag_exists(command):
    name, *words = command.split()
    told = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    assert all(word in told.output for word in words if word.startswith("--"))


@pytest.mark.parametrize("form", re.findall(r"apprentice export (\w+)", PAGE.read_text()))
def test_every_form_of_an_export_exists(form):
    assert form in CliRunner().invoke(app, ["export", "--help"]).output


def test_every_picture_is_there_and_small():
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.read_text()):
        assert (PAGE.parent / name).stat().st_size < 200_000
