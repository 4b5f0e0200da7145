"""The three windows as a user opens them: real processes, real ports."""

import json
import signal
import subprocess
from contextlib import contextmanager

import httpx2
import openai
import pytest

from command import APPRENTICE, apprentice, environment, one_line


@contextmanager
def opened(folder, *arguments, **extra):
    """Run a command that serves; yield what it says first, and end it as Ctrl-C does."""
    process = subprocess.Popen(
        [APPRENTICE, *arguments, "--port", "0"],
        cwd=folder,
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_the_pages_are_where_the_command_says(tmp_path):
    with opened(tmp_path, "ui", "--json") as said:
        address = json.loads(said)["url"]
        assert address.startswith("http://127.0.0.1:")
        answer = httpx2.get(address)
        assert answer.status_code == 200
        assert "Nothing was practised yet" in answer.text


def test_edits_and_other_addresses_take_a_token(tmp_path):
    with opened(tmp_path, "ui", "--json", "--allow-edits") as said:
        address = json.loads(said)["url"]
        assert httpx2.get(address.split("?")[0]).status_code == 401
        assert httpx2.get(address, follow_redirects=True).status_code == 200
    host = ("ui", "--json", "--host", "0.0.0.0")
    with opened(tmp_path, *host, APPRENTICE_WINDOWS__TOKEN="sesame") as said:
        address = json.loads(said)["url"].replace("0.0.0.0", "127.0.0.1")
        assert address.endswith("token=sesame")
        assert httpx2.get(address.split("?")[0]).status_code == 401


def test_the_endpoint_answers_and_keeps_what_is_open_when_it_is_stopped(tmp_path):
    with opened(tmp_path, "serve", "--policy", "random", "--json") as said:
        address = json.loads(said)["url"]
        with openai.OpenAI(base_url=address, api_key="x", max_retries=0) as chat:
            answer = chat.chat.completions.create(
                model="apprentice",
                messages=[{"role": "user", "content": "There is a door."}],
                extra_body={"metadata": {"episode": "mine"}, "admissible": ["go left"]},
            )
        assert answer.choices[0].message.content == "go left"
    kept = json.loads(apprentice("episodes", "show", "mine", "--json", cwd=tmp_path).stdout)
    assert kept["ending"] == "truncated"


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path):
    with opened(tmp_path, "ui", "--json") as said:
        port = json.loads(said)["url"].rstrip("/").rsplit(":", 1)[1]
        told = one_line(apprentice("ui", "--port", port, cwd=tmp_path))
    assert "choose another --port" in told


@pytest.mark.parametrize("command", ["ui", "mcp", "serve", "export"])
def test_help_of_a_window_loads_nothing_heavy(command):
    loading = (
        "import sys; from typer.testing import CliRunner; from apprentice.cli import app\n"
        f"CliRunner().invoke(app, [{command!r}, '--help'])\n"
        "print(sorted({'fastapi', 'mcp', 'uvicorn', 'jinja2', 'torch', 'openai'} & {*sys.modules}))"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
