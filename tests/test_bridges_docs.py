"""docs/bridges.md is done as it says: files are written, commands typed, code run.

TRL's part is run by test_trl_export.py, that of verifiers by test_verifiers_export.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from bench.windows import serving
from cards import cards_app
from command import environment
from environments.bridges.mcp_tools import McpTools, load_reward, read_entries
from environments.check import check_environment
from environments.registry import ENVIRONMENTS
from installed import needs
from sections import DOCS, Section

PAGE = (DOCS / "bridges.md").read_text(encoding="utf-8")


def test_every_bridge_is_in_the_table_and_in_the_list_of_environments():
    rows = re.findall(r"`--env (\w+)`", PAGE)
    assert rows == ["minigrid", "gymnasium", "openenv", "mcp"]
    assert set(rows) <= set(ENVIRONMENTS)
    modules = re.findall(r"`(environments\.bridges\.\w+)`", PAGE.partition("\n## ")[0])
    assert all((DOCS.parent / f"{name.replace('.', '/')}.py").exists() for name in modules)
    assert len(modules) == 3


def test_the_code_of_gymnasium_runs():
    seen = {}
    exec(Section("bridges.md", "Gymnasium, out").code, seen)
    assert seen["text"]
    assert (seen["reward"], seen["terminated"]) == (0.0, False)


def test_the_server_the_reward_and_the_tasks_of_the_page_are_an_environment(tmp_path):
    Section("bridges.md", "MCP servers").write(tmp_path)

    def shop():
        return run_path(str(tmp_path / "shop.py"))["server"]

    reward = load_reward(f"{tmp_path / 'reward.py'}:bought")
    world = McpTools(shop, read_entries(tmp_path / "tasks.jsonl"), reward)
    assert check_environment(world) == ()
    assert world.gold(world.task("milk")) == ('add {"thing": "milk"}', "submit")


def typed(command, place):
    """Type a command of the page in a directory; return what it printed."""
    there = Path(sys.executable).parent
    run = subprocess.run(
        [there / "apprentice", *command.split()[1:]],
        cwd=place,
        env=environment(PATH=f"{there}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "says"),
    [
        pytest.param("MiniGrid and BabyAI", "the contract is kept", marks=needs("minigrid")),
        ("Gymnasium, in", "random"),
        ("MCP servers", "mcp: tasks 2 train, 1 dev, 0 test; the contract is kept"),
    ],
)
def test_the_commands_of_a_section_do_what_they_say(title, says, tmp_path):
    section = Section("bridges.md", title)
    section.write(tmp_path)
    printed = "".join(typed(command, tmp_path) for command in section.commands)
    assert says in printed
    assert "0% to" in printed or "to 100%" in printed


@pytest.mark.slow
def test_the_commands_for_an_openenv_server_play_it(tmp_path):
    section = Section("bridges.md", "OpenEnv")
    section.write(tmp_path)
    file = tmp_path / "openenv.toml"
    with serving(cards_app()) as url:
        file.write_text(file.read_text().replace("http://127.0.0.1:8000", url))
        (command,) = section.commands
        assert "random  4 " in typed(command, tmp_path)
