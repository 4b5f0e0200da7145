"""The examples for Kubernetes: what they run exists, and what they name is there."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from apprentice.cli import app

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs/kubernetes").glob("*.yaml"))


def _read(file):
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def _found(tree, key):
    """Yield every value under a key, however deep."""
    if isinstance(tree, dict):
        if key in tree:
            yield tree[key]
        tree = list(tree.values())
    for each in tree if isinstance(tree, list) else ():
        yield from _found(each, key)


def _commands(file):
    """Return the arguments of every `apprentice ...` in an example."""
    told = []
    for document in _read(file):
        for command in _found(document, "command"):
            told += command[-1].splitlines() if command[0] == "/bin/sh" else [shlex.join(command)]
        told += list(_found(document, "entrypoint"))
    lines = [line.removeprefix("exec ") for line in told]
    return [shlex.split(line)[1:] for line in lines if line.startswith("apprentice ")]


def _parsed(args):
    """Parse as the command line does, and call nothing."""
    group = typer.main.get_command(app)
    with group.make_context("apprentice", args) as context:
        name, command, rest = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        return name, command.make_context(name, rest, parent=context).params


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_command_of_an_example_is_one_that_the_command_line_accepts(file):
    commands = _commands(file)
    assert commands
    assert all(_parsed(args)[0] in ("run", "learn") for args in commands)


def test_the_flags_of_an_example_mean_what_it_says():
    (args,) = _commands(ROOT / "docs/kubernetes/rayjob.yaml")
    _, given = _parsed(args)
    assert (given["on"], given["workers"], given["episodes"]) == ("ray://auto", 8, 100_000)
    resumed, begun = (_parsed(args)[1] for args in _commands(ROOT / "docs/kubernetes/job.yaml"))
    assert resumed["resume"]
    assert begun["policy"] == "openai:MODEL"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_no_example_runs_as_root_and_every_volume_is_there(file):
    for document in _read(file):
        assert {"apiVersion", "kind", "metadata", "spec"} == document.keys()
        for pod in (each["spec"] for each in _found(document, "template")):
            assert pod["securityContext"]["runAsNonRoot"] is True
            mounted = {each["name"] for mounts in _found(pod, "volumeMounts") for each in mounts}
            assert mounted == {each["name"] for each in pod.get("volumes", [])}


def test_the_ray_of_the_example_is_the_one_that_was_tested():
    (tested,) = re.findall(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    (job,) = _read(ROOT / "docs/kubernetes/rayjob.yaml")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == tested


def test_the_image_copies_every_package_and_is_no_root():
    told = (ROOT / "Containerfile").read_text()
    packages = re.findall(r"^COPY (\w+) \1$", told, re.MULTILINE)
    assert sorted(packages) == ["agent", "apprentice", "distill", "environments", "memory"]
    assert "\nUSER apprentice\n" in told
    assert "bubblewrap" in told
