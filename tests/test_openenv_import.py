"""Against a server of our own that says what OpenEnv's says; and against OpenEnv's own, if given.

OPENENV_PYTHON names a Python that has it: `python -m venv there; there/bin/pip install
openenv==0.10.0; OPENENV_PYTHON=there/bin/python pytest tests/test_openenv_import.py`.
"""

import json
import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from fastapi import WebSocket

from bench.windows import serving
from cards import Cards, cards_app
from environments.bridges.openenv_import import OpenEnvError
from environments.check import check_environment
from environments.episode import Ending, Split
from environments.registry import open_environment

SMALL = {"counts": (6, 3, 3)}
REAL = os.environ.get("OPENENV_PYTHON")


@contextmanager
def real():
    """Yield the address of OpenEnv's own server."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    code = Path(__file__).with_name("openenv_server.py")
    server = subprocess.Popen([REAL, code, str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urlopen(f"{url}/health", timeout=1).close()
                break
            except (URLError, OSError):
                sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


@pytest.fixture(
    scope="module",
    params=[
        "ours",
        pytest.param(
            "theirs", marks=pytest.mark.skipif(not REAL, reason="set OPENENV_PYTHON, see above")
        ),
    ],
)
def url(request):
    with serving(cards_app()) if request.param == "ours" else real() as address:
        yield address


def test_an_environment_of_a_server_keeps_the_contract(url):
    assert check_environment(open_environment("openenv", url=url, listed="cards", **SMALL)) == ()
    assert check_environment(open_environment("openenv", url=url, **SMALL)) == ()


def test_it_says_of_itself_what_the_server_says(url):
    world = open_environment("openenv", url=url, **SMALL)
    assert world.instructions.startswith("You act in Cards: ")
    assert world.instructions.endswith("\nAnswer with one action, in plain words.")


def test_no_two_seeds_that_open_alike_are_tasks(url):
    world = open_environment("openenv", url=url, counts=(20, 5, 5))
    assert [len(world.tasks(split)) for split in Split] == [12, 0, 0]


def test_a_seed_is_played_to_its_end(url):
    world = open_environment("openenv", url=url, listed="cards", goal="find it", **SMALL)
    task = world.task("openenv/1")
    for guess, ending, reward in (("jack", Ending.SOLVED, 1.0), ("ace", None, 0.0)):
        play = world.start(task)
        assert "ace *jack* king queen" in play.observation.text
        assert play.observation.text.endswith("\n\nYour task is to: find it")
        assert play.observation.admissible == ("ace", "jack", "king", "queen")
        after = play.step(guess)
        assert (after.ending, after.reward) == (ending, reward)
        play.close()


def test_what_it_is_reset_with_is_passed_on(url):
    world = open_environment("openenv", url=url, reset={"greeting": "hello"}, **SMALL)
    play = world.start(world.tasks(Split.TRAIN)[0])
    assert "shown: hello 0: *ace*" in play.observation.text
    play.close()


def test_a_server_that_is_full_says_so_in_a_line(url):
    world = open_environment("openenv", url=url, **SMALL)
    task = world.tasks(Split.TRAIN)[0]
    plays = [world.start(task) for _ in range(3)]
    with pytest.raises(OpenEnvError, match=r"CAPACITY_REACHED: .*; start or mend it"):
        world.start(task)
    for play in plays:
        play.close()


def test_a_server_that_is_gone_is_told_in_a_line():
    with serving(cards_app()) as url:
        world = open_environment("openenv", url=url, **SMALL)
        play = world.start(world.tasks(Split.TRAIN)[0])
    for act in (lambda: play.step("ace"), lambda: world.start(world.tasks(Split.TRAIN)[0])):
        with pytest.raises(OpenEnvError, match="no OpenEnv environment at 'http://127") as told:
            act()
        assert "\n" not in str(told.value)
    play.close()


def test_an_action_of_several_fields_is_a_json_object():
    app = cards_app()

    @app.get("/more/schema")
    def schema():
        fields = {"card": {"type": "string"}, "sure": {"type": "boolean"}}
        return {"action": {"properties": fields}}

    @app.get("/more/metadata")
    def metadata():
        return {}

    @app.websocket("/more/ws")
    async def ws(websocket: WebSocket):
        await websocket.accept()
        game = Cards(3)
        async for asked in websocket.iter_json():
            await websocket.send_json(game.answer(asked))

    with serving(app) as url:
        world = open_environment("openenv", url=f"{url}/more", **SMALL)
        assert world.instructions.endswith('a JSON object with "card" (string), "sure" (boolean).')
        play = world.start(world.task("openenv/0"))
        assert "Write a JSON object" in play.step("[1]").text
        assert "is not what is asked for" in play.step("ace").text
        assert play.step('{"card": 5}').text == "card has to be a string"
        assert play.step(json.dumps({"card": "ace", "sure": True})).ending is Ending.SOLVED
        play.close()
