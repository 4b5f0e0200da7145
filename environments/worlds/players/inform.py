"""Runs in a process of its own: makes TextWorld's games from seeds, and plays one at a time."""

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from environments.extras import load
from environments.worlds.players.answering import Answer, answer

TITLE = "$$$$"  # the game's name in large letters, before its first words
FILE = "game.z8"
FAREWELL = "Would you like to RESTART"
STATUS = re.compile(r"\s*>\s+-= [^\n]* =-[^\n]*\Z")  # the room and the score, in the last line


class Player:
    """Games in a folder that other players share: each game is made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._game: Any = None

    def begin(self, game: dict[str, Any]) -> Answer:
        """Play a game: its name, TextWorld's challenge, the settings of that, and a seed."""
        textworld = load("textworld", "textworld")
        if self._game is not None:
            self._game.close()
        wanted = textworld.EnvInfos(
            won=True, lost=True, admissible_commands=True, score=True, max_score=True
        )
        wanted.extras = ["walkthrough"]
        self._game = textworld.start(str(self._made(game)), wanted)
        state = self._game.reset()
        return {**shown(state), "gold": list(state["extra.walkthrough"])}

    def act(self, action: str) -> Answer:
        return shown(self._game.step(action)[0])

    def _made(self, game: dict[str, Any]) -> Path:
        ready = self._folder / game["name"]
        if not ready.exists():
            generator = load("textworld", "textworld.generator")
            challenge = load("textworld", "textworld.challenges").CHALLENGES[game["challenge"]]
            making = Path(tempfile.mkdtemp(dir=self._folder))
            options = load("textworld", "textworld").GameOptions()
            options.seeds = game["seed"]
            options.path = str(making / FILE)
            generator.compile_game(challenge[1](game["settings"], options), options)
            with suppress(OSError):  # another player was faster, with the same game
                making.rename(ready)
        return ready / FILE


def shown(state: Any) -> Answer:  # noqa: ANN401 - the package has no types
    """Return what a state shows, as JSON can carry it."""
    text = state.feedback
    if TITLE in text:
        text = text.rpartition(TITLE)[2].partition("\n")[2]
    return {
        "text": STATUS.sub("", text.partition(FAREWELL)[0].rstrip()).strip(),
        "admissible": sorted(set(state.admissible_commands)),
        "won": bool(state.won),
        "lost": bool(state.lost),
        "score": state.score / max(1, state.max_score),
    }


def main() -> None:
    """Play in the folder that the command line names."""
    player = Player(Path(sys.argv[1]))
    answer(player.begin, player.act)
