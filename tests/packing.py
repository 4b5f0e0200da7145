"""Our own generated games in the two forms in which ALFWorld's are found."""

import json
import lzma
from collections.abc import Iterable
from pathlib import Path

from environments.episode import Split
from environments.household.generator import Seed, game_of, task_of
from environments.household.problem import write_problem

FOLDERS = {Split.TRAIN: "train", Split.DEV: "valid_seen", Split.TEST: "valid_unseen"}


def row(seed: Seed) -> dict:
    """Return a generated game as a line of a packed file."""
    task, game = task_of(seed), game_of(seed)
    folder = f"{seed.kind}-Thing-None-Place-{seed.number}"
    return {
        "path": f"json_2.1.1/{FOLDERS[seed.split]}/{folder}/trial_{seed.number}/game.tw-pddl",
        "task": task.goal,
        "problem": write_problem(game.problem, f"plan_{seed.number}"),
        "walkthrough": list(game.gold),
    }


def pack(path: Path, rows: Iterable[dict]) -> Path:
    """Write a packed file, compressed if its name ends in .xz."""
    text = "".join(json.dumps(each) + "\n" for each in rows).encode()
    path.write_bytes(lzma.compress(text) if path.suffix == ".xz" else text)
    return path


def download(folder: Path, rows: Iterable[dict], **changes: object) -> Path:
    """Write games as `alfworld-download` leaves them; `changes` replace fields of each file."""
    for each in rows:
        file = folder / each["path"]
        file.parent.mkdir(parents=True)
        content = {
            "grammar": f'"rhs": "Your task is to: {each["task"]}"',
            "pddl_problem": each["problem"],
            "walkthrough": each["walkthrough"],
            "solvable": True,
        }
        file.write_text(json.dumps(content | changes))
    return folder
