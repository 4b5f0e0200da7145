import json
import lzma
import shutil
import subprocess
import venv
from itertools import groupby
from pathlib import Path
from random import Random

import pytest

from environments.episode import Split
from environments.household.engine import House
from environments.household.games import KINDS
from environments.household.generator import Seed
from environments.household.problem import parse_problem
from environments.household.words import WELCOME
from environments.transcript import NOT_AN_ACTION
from packing import row
from real_games import PATH, needs_real_games
from small_house import small_problem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="alfworld compiles its planner"),
]

PLAYER = Path(__file__).parent / "parity" / "official_alfworld.py"
ORDERS = ("gold first", "random first")
PER_KIND = 20

EVERY_RULE = """go to countertop 1|take knife 1 from countertop 1|slice apple 2 with knife 1
go to fridge 1|slice apple 1 with knife 1|go to countertop 1|move knife 1 to countertop 1
take apple 2 from countertop 1|examine apple 2|go to sinkbasin 1|clean apple 2 with sinkbasin 1
examine apple 2|go to microwave 1|heat apple 2 with microwave 1|examine apple 2|go to fridge 1
cool apple 2 with fridge 1|examine apple 2|go to cabinet 1|open cabinet 1|go to desk 1
use desklamp 1|use desklamp 1|move apple 2 to desk 1|look|help|inventory
go to cabinet 2|open cabinet 2|take egg 1 from cabinet 2|look|move egg 1 to cabinet 1|look
take egg 1 from cabinet 1|move egg 1 to cabinet 2|look|go to desk 1|look|go to cabinet 1|look"""


@pytest.fixture(scope="module")
def official(request):
    """Return a Python that has the official engine, which stays out of ours: it is partly GPL."""
    folder = request.config.cache.mkdir("alfworld")
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "alfworld==0.4.2"], check=True)
        done.touch()
    return python


def differences(python, rows):
    """Play the games in the official engine, repeat its actions in ours, return what differs."""
    asked = "".join(json.dumps(each) + "\n" for each in rows)
    played = subprocess.run(
        [python, PLAYER], input=asked, text=True, check=True, stdout=subprocess.PIPE
    )
    traces = [json.loads(line) for line in played.stdout.splitlines()]
    assert len(traces) == len(rows)
    for each, trace in zip(rows, traces, strict=True):
        yield from (f"{each['path']}: {what}" for what in repeated(each, trace["shown"]))


def repeated(each, shown):
    house = House(parse_problem(each["problem"]))
    state, text = house.start, WELCOME.format(view=house.opening, goal=each["task"])
    for step in shown:
        if step["action"] is not None:
            move = house.moves(state).get(step["action"].strip())
            state, text = (state, NOT_AN_ACTION) if move is None else house.apply(state, move)
        ours = {
            "action": step["action"],
            "text": text,
            "admissible": sorted(house.moves(state)),
            "won": house.solved(state),
        }
        if ours != step:
            yield f"{ours} is not {step}"


@needs_real_games
def test_the_official_engine_shows_the_same_in_twenty_games_of_each_type(official):
    with lzma.open(PATH, "rt") as lines:
        rows = sorted(map(json.loads, lines), key=kind_of)
    chosen = [
        each | {"order": ORDERS[number % 2]}
        for _, games in groupby(rows, key=kind_of)
        for number, each in enumerate(Random(PER_KIND).sample(list(games), PER_KIND))
    ]
    assert len(chosen) == PER_KIND * len(KINDS)
    assert list(differences(official, chosen)) == []


def kind_of(each):
    return each["path"].split("/")[2].partition("-")[0]


def test_the_official_engine_shows_the_same_in_generated_games(official):
    rows = [
        row(Seed(split=Split.TEST, kind=kind, number=number, max_receptacles=12, max_objects=20))
        | {"order": order}
        for kind in KINDS
        for number, order in enumerate(ORDERS)
    ]
    assert list(differences(official, rows)) == []


def test_the_official_engine_shows_the_same_in_a_house_that_tries_every_rule(official):
    house = {
        "path": "small house",
        "task": "put a apple in desk.",
        "problem": small_problem(),
        "walkthrough": EVERY_RULE.replace("\n", "|").split("|"),
    }
    rows = [house | {"order": order, "path": f"small house {order}"} for order in ORDERS]
    assert list(differences(official, rows)) == []
