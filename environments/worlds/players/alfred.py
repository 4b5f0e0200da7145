"""Runs in a process of its own: plays household games in ALFWorld's official engine."""

import json
import tempfile
from pathlib import Path
from typing import Any

from environments.extras import load
from environments.worlds.players.answering import Answer, answer


class Player:
    """One game at a time, in a folder where its file is written as the engine wants it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._game: Any = None

    def begin(self, game: dict[str, Any]) -> Answer:
        """Play a game: its problem in PDDL, its task sentence and its gold actions."""
        textworld = load("alfworld", "textworld")
        engine = load("alfworld", "textworld.envs").PddlEnv
        words = load("alfworld", "alfworld.agents.environment.alfred_tw_env")
        if self._game is not None:
            self._game.close()
        wanted = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
        self._game = words.AlfredInfos(words.AlfredDemangler(engine(wanted), shuffle=False))
        self._game.load(str(self._written(game)))
        return shown(self._game.reset())

    def act(self, action: str) -> Answer:
        return shown(self._game.step(action)[0])

    def _written(self, game: dict[str, Any]) -> Path:
        """Write the game as the official download has it; domain and grammar are the package's."""
        data = Path(str(load("alfworld", "alfworld").__file__)).parent / "data"
        grammar = (data / "alfred.twl2").read_text(encoding="utf-8")
        content = {
            "pddl_domain": (data / "alfred.pddl").read_text(encoding="utf-8"),
            "grammar": grammar.replace("UNKNOWN GOAL.", game["goal"]),
            "pddl_problem": game["problem"],
            "walkthrough": game["gold"],
            "solvable": True,
        }
        path = self._folder / "game.tw-pddl"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path


def shown(state: Any) -> Answer:  # noqa: ANN401 - the package has no types
    """Return what a state shows, as JSON can carry it."""
    return {
        "text": state.feedback,
        "admissible": sorted(state["admissible_commands"]),
        "won": bool(state["won"]),
    }


def main() -> None:
    """Play in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="alfworld-") as folder:
        player = Player(Path(folder))
        answer(player.begin, player.act)
