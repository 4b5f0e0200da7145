"""Play games in the official ALFWorld engine and print what it showed, one JSON object a game.

Runs in an environment of its own (`pip install alfworld==0.4.2`), because parts of that engine are
under the GPL; the tests only start it as a program. Reads packed games with an added
`order`, "gold first" or "random first", on standard input.
"""

import json
import sys
import tempfile
from pathlib import Path
from random import Random

RANDOM_STEPS = 25
BUSY = 0.75  # share of random steps that do something other than walk or look, where one can
WRONG = 0.05  # share of random steps that cannot be done
LOOK = 0.15  # share that only look: what is "next to it" depends on what was moved before
IDLE = ("go", "look", "inventory", "help")
NONSENSE = ("take moon 1 from sky 1", "open", "dance", "go to nowhere 7", "LOOK", " look ")


class Official:
    """One game in the official engine, and all that it has shown."""

    def __init__(self, row, folder):
        # Imported here, so that the test run may read this file where the engine is not installed.
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos
        from textworld.envs import PddlEnv

        wanted = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
        self.env = AlfredInfos(AlfredDemangler(PddlEnv(wanted), shuffle=False))
        self.env.load(game_file(row, Path(folder)))
        self.shown = []
        self._show(None, self.env.reset())

    def act(self, action):
        self._show(action, self.env.step(action)[0])

    def wander(self, rng):
        self.act("look")
        for _ in range(RANDOM_STEPS):
            self.act(choose(rng, self.shown[-1]["admissible"]))

    def _show(self, action, state):
        self.shown.append(
            {
                "action": action,
                "text": state.feedback,
                "admissible": sorted(state["admissible_commands"]),
                "won": bool(state["won"]),
            }
        )


def game_file(row, folder):
    """Write the game as the official download has it; domain and grammar are the package's."""
    import alfworld

    data = Path(alfworld.__file__).parent / "data"
    path = folder / "game.tw-pddl"
    game = {
        "pddl_domain": (data / "alfred.pddl").read_text(),
        "grammar": (data / "alfred.twl2").read_text().replace("UNKNOWN GOAL.", row["task"]),
        "pddl_problem": row["problem"],
        "walkthrough": row["walkthrough"],
        "solvable": True,
    }
    path.write_text(json.dumps(game))
    return str(path)


def choose(rng, admissible):
    if rng.random() < WRONG:
        return rng.choice(NONSENSE)
    if rng.random() < LOOK:
        return "look"
    busy = [action for action in admissible if action.split()[0] not in IDLE]
    return rng.choice(busy if busy and rng.random() < BUSY else admissible)


def play(row, folder):
    official = Official(row, folder)
    if row["order"] == "random first":
        official.wander(Random(row["path"]))
    for action in row["walkthrough"]:
        official.act(action)
    if row["order"] == "gold first":
        official.wander(Random(row["path"]))
    official.env.close()
    return {"path": row["path"], "shown": official.shown}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(play(json.loads(line), folder)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
