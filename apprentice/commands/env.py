"""`apprentice env`: which worlds there are, whether one keeps the contract, a start for yours."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path

from rich.text import Text

from apprentice.build import make_environment
from apprentice.settings.config import Config
from apprentice.terminal.terminal import inert, out, say_json, table
from environments.check import WHY, check_environment
from environments.environment import Environment
from environments.episode import Split
from environments.errors import UserError
from environments.registry import GROUP, describe, names

EXIT_BROKEN = 1

SHOWN = 3
"""Tasks named for each broken rule; the same fault is usually in all of them."""

PACKAGE = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "apprentice-{name}"
version = "0.1.0"
description = "An environment for apprentice; say here what it is"

[project.entry-points."{group}"]
{name} = "{name}:{title}"

[tool.hatch.build.targets.wheel]
include = ["{name}.py"]
"""


class NewError(UserError, ValueError):
    """A new environment cannot have this name, or not be written there."""


def list_environments(*, as_json: bool) -> None:
    """Print all environments and what each still needs."""
    listed = describe()
    if as_json:
        say_json([asdict(each) for each in listed])
        return
    rows = (
        (
            each.name,
            f"pip install {' '.join(each.missing)}" if each.missing else "nothing",
            each.package or "this one",
            each.license or "see its package",
            each.words,
        )
        for each in listed
    )
    out().print(table(("name", "still needs", "package", "license", "what it is"), rows))


def new(name: str, parent: Path, *, as_json: bool) -> None:
    """Write a package with a small environment that works."""
    if not (name.isidentifier() and name.islower()) or iskeyword(name):
        raise NewError(f"{name!r} cannot name a module; take lower case letters, such as my_world")
    if name in names():
        raise NewError(f"there is an environment {name!r} already; choose another name")
    folder = parent / name
    try:
        folder.mkdir(parents=True)
        for file, text in _package(name).items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NewError(f"cannot write {str(folder)!r}: {error.strerror}; choose another") from None
    if as_json:
        say_json({"name": name, "folder": str(folder)})
        return
    lines = (
        f"written: {folder / name}.py, a world that works; change it into yours",
        f"then:    {sys.executable} -m pip install --editable {folder}",
        f"         apprentice env check {name}",
        f"         apprentice run --env {name}",
    )
    out().print(Text(inert("\n".join(lines))))


def check(config: Config, per_split: int, *, as_json: bool) -> bool:
    """Print each rule that is broken, where and why it is one; return whether none is."""
    world = make_environment(config)
    broken = _by_rule(check_environment(world, per_split=per_split))
    if as_json:
        rules = [{"rule": rule, "why": WHY[rule], "at": at} for rule, at in broken.items()]
        say_json({"name": world.name, "tasks": _counts(world), "broken": rules})
        return not broken
    console = out()
    for rule, places in broken.items():
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        console.print(Text(f"broken: {rule}", style="red"))
        if any(places):
            console.print(Text(inert(f"  at:   {', '.join(places[:SHOWN])}{more}")))
        console.print(Text(f"  why:  {WHY[rule]}"))
    counts = ", ".join(f"{count} {split}" for split, count in _counts(world).items())
    verdict = f"{len(broken)} rules are broken" if broken else "the contract is kept"
    console.print(Text(inert(f"{world.name}: tasks {counts}; {verdict}")))
    return not broken


def _package(name: str) -> Mapping[str, str]:
    title = "".join(part.title() for part in name.split("_"))
    template = files("environments").joinpath("template.py").read_text(encoding="utf-8")
    source = template.replace("Lights", title).replace('"lights"', f'"{name}"')
    return {
        "pyproject.toml": PACKAGE.format(name=name, title=title, group=GROUP),
        f"{name}.py": source,
    }


def _by_rule(found: Iterable[str]) -> dict[str, list[str]]:
    """Group what the check found: rule, and the tasks where it is broken."""
    broken: defaultdict[str, list[str]] = defaultdict(list)
    for line in found:
        rule = next(rule for rule in WHY if line.endswith(rule))
        at = line.removesuffix(rule).removesuffix(": ")
        if at not in broken[rule]:
            broken[rule].append(at)
    return broken


def _counts(environment: Environment) -> dict[str, int]:
    return {split.value: len(environment.tasks(split)) for split in Split}
