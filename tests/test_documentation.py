"""What the pages tell one to type exists, flag by flag; what can be carried out is."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import yaml
from typer.testing import CliRunner

from apprentice.cli import app
from command import APPRENTICE, environment
from docs.tree import ROOT
from documented import NOT_RUN, SERVES, files, mentioned, pages, parse, typed

QUICKSTART = ROOT / "docs" / "quickstart.md"

WALKED = (
    "quickstart",
    "your-own-agent",
    "your-own-model",
    "the-gate",
    "audits",
    "troubleshooting",
    "windows",
)
"""Pages whose every command is carried out, unless its block says why not."""


@pytest.mark.parametrize("page", [*pages(), ROOT / "README.md"], ids=lambda page: page.stem)
def test_every_command_of_a_page_is_known_with_all_its_flags(page):
    for call, whole in mentioned(page):
        parse(call, whole=whole)


@pytest.mark.parametrize("wrong", ["apprentice nothing", "apprentice run --episode 3"])
def test_a_command_or_a_flag_that_does_not_exist_is_noticed(wrong):
    with pytest.raises(Exception, match="No such"):
        parse(wrong)


def test_the_pages_hold_commands_and_say_why_some_are_not_carried_out():
    every = [each for page in pages() for each in typed(page)]
    assert len(every) > 60
    assert all(len(each.mark) > len(f"{NOT_RUN}: ") for each in every if NOT_RUN in each.mark)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_link_and_picture_of_a_page_is_there(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
        assert not target.endswith(".png") or (page.parent / target).stat().st_size < 200_000


def test_the_site_and_the_first_page_lead_to_the_same_pages():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {name for entry in site["nav"] for name in entry.values()}
    first = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert {"index.md", *re.findall(r"\]\(([^)]+\.md)\)", first)} == listed


@pytest.mark.parametrize("form", ["episodes", "demonstrations", "preferences", "privileged"])
def test_every_form_of_an_export_is_on_the_page_of_windows(form):
    assert f"apprentice export {form} " in (ROOT / "docs" / "windows.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKED)
def test_a_page_is_walked_as_it_is_written(page, tmp_path, monkeypatch):
    path = ROOT / "docs" / f"{page}.md"
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for name, words in (files(QUICKSTART) | files(path)).items():
        (tmp_path / name).write_text(words, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("APPRENTICE_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    for command in typed(path):
        if command.mark.startswith(NOT_RUN):
            continue
        if command.mark == SERVES:
            serve(command.words, tmp_path)
        elif command.words.startswith("apprentice "):
            carry_out(command.words)
        else:
            shell = f"PATH={Path(sys.executable).parent}:$PATH; {command.words}"
            subprocess.run(["bash", "-euc", shell], cwd=tmp_path, check=True, timeout=300)


def carry_out(words):
    """Run a command of ours in this process; what stands for an id is the newest there is."""
    for name, listing in (("EPISODE", "episodes"), ("ITEM", "skills")):
        if name in words:
            told = CliRunner().invoke(app, [listing, "list", "--json"]).stdout
            words = words.replace(name, next(iter(json.loads(told)))["id"])
    done = CliRunner().invoke(app, shlex.split(words, comments=True)[1:])
    assert done.exit_code == 0, (words, done.output, done.exception)


def serve(words, folder):
    """Start a command that goes on until it is stopped, read where it is, and stop it."""
    free = {f"APPRENTICE_WINDOWS__{name}_PORT": "0" for name in ("UI", "MCP", "SERVE")}
    named, call = re.fullmatch(r"((?:\w+=\S+ )*)apprentice (.*)", words).groups()
    given = dict(pair.split("=", 1) for pair in named.split())
    process = subprocess.Popen(
        [APPRENTICE, *shlex.split(call, comments=True)],
        cwd=folder,
        env=environment(**free, **given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline()
        if address := re.match(r"http://\S+", first):
            asked = address[0].replace("0.0.0.0", "127.0.0.1")
            httpx2.get(asked, timeout=60)  # it is up: whatever it answers, Ctrl-C is heard
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in said, said
    assert address or call.partition("#")[0].strip() == "mcp", (words, first, said)
