"""A small environment on OpenEnv's own server. Run by a Python that has the package `openenv`.

python openenv_server.py PORT
"""

import sys

import uvicorn
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

CARDS = ("ace", "jack", "king", "queen")


class Guess(Action):
    card: str


class Table(Observation):
    shown: str
    cards: tuple[str, ...] = ()


class Cards(Environment):
    """Name the card that is marked."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def reset(self, seed=None, episode_id=None, **kwargs):
        seed = seed or 0
        self.card = CARDS[seed % 4]
        self.tries = 0
        row = " ".join(f"*{each}*" if each == self.card else each for each in CARDS)
        return Table(shown=f"{kwargs.get('greeting', 'table')} {seed // 4 % 3}: {row}", cards=CARDS)

    def step(self, action, timeout_s=None, **kwargs):
        self.tries += 1
        if action.card == self.card:
            return Table(shown="yes", done=True, reward=1.0)
        return Table(shown="no", cards=CARDS, done=self.tries == 2, reward=0.0)

    @property
    def state(self):
        return State(step_count=self.tries)


if __name__ == "__main__":
    app = create_fastapi_app(Cards, Guess, Table, max_concurrent_envs=3)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
