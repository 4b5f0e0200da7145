"""Every world that is installed keeps the contract on fifty tasks.

All of them: `pytest -m slow tests/test_fifty_tasks.py`; one: with `-k NAME`.
"""

from contextlib import contextmanager, nullcontext

import pytest

from bench.windows import serving
from cards import CARDS, cards_app
from environments.bridges.mcp_tools import Entry, McpTools
from environments.check import check_environment
from environments.episode import Split
from environments.registry import ENVIRONMENTS, open_environment
from greeting import GREETING, write
from installed import needs
from real_games import PATH, needs_real_games
from sandboxes import needs_sandbox
from shop import bought, shop

pytestmark = pytest.mark.slow

FIFTY = 50

SETTINGS = {
    "household": {"train": 30, "dev": 10, "test": 10},
    "alfworld": {"train": 30, "dev": 10, "test": 10},
    "reasoning_gym": {"train": 3, "dev": 1, "test": 1},
    "textworld_express": {"train": 6, "dev": 1, "test": 1},
    "scienceworld": {"train": 3, "dev": 1, "test": 1},
    "textworld": {"train": 9, "dev": 2, "test": 2},
    "gymnasium": {
        "id": "Taxi-v4",
        "options": {"render_mode": "ansi"},
        "counts": (30, 10, 10),
    },
    "minigrid": {"counts": (7, 1, 1)},
}
"""A few tasks of each kind; worlds that are not here have their own number of tasks."""


def greetings(folder):
    for number in range(FIFTY):
        write(folder / f"greet-{number}", GREETING)
    return nullcontext(open_environment("harbor", games=folder))


def purchases(_):
    things = [f"thing-{number}" for number in range(FIFTY)]
    entries = [
        Entry(goal=f"buy {thing}", gold=(f'add {{"thing": "{thing}"}}', "submit"))
        for thing in things
    ]
    return nullcontext(McpTools(shop, entries, bought))


@contextmanager
def tables(_):
    with serving(cards_app(tables=FIFTY // len(CARDS) + 1)) as url:
        yield open_environment("openenv", url=url, listed="cards", counts=(30, 10, 10))


MADE = {"harbor": greetings, "mcp": purchases, "openenv": tables}
"""Worlds without tasks of their own, and what gives them some."""


def opened(name, folder):
    if name in MADE:
        return MADE[name](folder)
    return nullcontext(open_environment(name, **SETTINGS.get(name, {})))


def each_of_fifty(world):
    """Return how many tasks of each split come to fifty, as far as the splits have so many."""
    sizes = [len(world.tasks(split)) for split in Split]
    return next(
        each for each in range(1, FIFTY + 1) if sum(min(each, size) for size in sizes) >= FIFTY
    )


def marks(name):
    return [needs(name), *([needs_sandbox] if name in {"code", "harbor"} else [])]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in ENVIRONMENTS])
def test_a_world_keeps_the_contract_on_fifty_tasks(name, tmp_path):
    with opened(name, tmp_path) as world:
        assert check_environment(world, per_split=each_of_fifty(world)) == ()


@needs_real_games
@pytest.mark.parametrize("name", ["household", pytest.param("alfworld", marks=needs("alfworld"))])
def test_alfworlds_own_games_keep_the_contract_fifty_of_them(name):
    world = open_environment(name, games=PATH)
    assert check_environment(world, per_split=each_of_fifty(world)) == ()
