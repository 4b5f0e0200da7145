"""ALFWorld's own games, where they lie beside this checkout; else such tests skip."""

import functools
from pathlib import Path

import pytest

from environments.household.household import Household

PATH = Path(__file__).resolve().parents[2] / "shared" / "data" / "alfworld" / "games.jsonl.xz"

needs_real_games = pytest.mark.skipif(not PATH.exists(), reason=f"no games at {PATH}")


@functools.cache
def real_games() -> Household:
    return Household.from_games(PATH)
