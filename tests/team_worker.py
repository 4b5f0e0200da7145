"""One of several processes that train a tiny model: `team_worker.py FOLDER KILLED`."""

import json
import sys
from itertools import count
from pathlib import Path

from safetensors.torch import save_file

from distill.objectives.presets import PRESETS
from distill.sequences.batch import Source
from distill.sequences.collate import Chosen
from distill.sequences.encode import Reading
from distill.teaching.curriculum import compared
from distill.training.rails import Rails
from distill.training.study import Studied, study
from distill.training.team import ALONE, Team, launched
from distill.training.train import Pace, Training
from learning import an_episode, tiny_encoder, tiny_student

SHOWN = Chosen(
    reading=Reading(episode=an_episode("take gold", number=9), source=Source.DEMONSTRATION)
)


def steps(many: int = 4) -> list[tuple[Chosen, ...]]:
    """Some steps: each three attempts at a task, the losers shown what won, and a demonstration."""
    tries = (("take gold",), ("go left", "take iron ore"), ("wait", "go right"))
    return [
        (
            *compared(
                [[an_episode(*each, number=n, name=f"{n}-{each}") for each in tries]], hints=True
            )[0],
            SHOWN,
        )
        for n in range(many)
    ]


def learn(folder: Path, team: Team = ALONE, killed: int = 0) -> tuple[Training, Studied, list]:
    """Study the steps, or fewer; return where it ended and the loss of each step."""
    training = Training(tiny_student(), Pace(rate=3e-3, warmup=2), team)
    losses: list[float] = []
    ticks = count()

    def watch(progress):
        losses.append(progress.vitals.loss)
        if progress.step == killed:
            raise SystemExit

    done = study(
        training, tiny_encoder(), steps(), PRESETS["reward+critique"],
        clock=lambda: float(next(ticks)), watch=watch, checkpoints=folder / "checkpoints",
        rails=Rails(most_kl=100.0, every=1),
    )  # fmt: skip
    return training, done, losses


def main() -> None:
    folder, killed = Path(sys.argv[1]), int(sys.argv[2])
    team = launched()
    assert team.size == 2
    training, done, losses = learn(folder, team, killed)
    if team.rank == 0:
        told = {"losses": losses, "tokens": done.tokens, "resumed_at": done.resumed_at}
        (folder / "told.json").write_text(json.dumps(told))
    save_file(training.student.copy(), folder / f"{team.rank}.safetensors")


if __name__ == "__main__":
    main()
