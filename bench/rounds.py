"""Round after round: what is promoted in the end, by what each round learns from.

`alone`: from its own attempts. `together`: from those of all rounds since the last promotion, and
what each gains is taken to add up; this is what `apprentice learn` does. `climbing`: from the last
candidate if it did as well as who acts in its exam, else anew, which chooses by the held-out tasks
and is here to be compared. Each round changes how some tasks end, by chance or also for the better;
all exams are held on the same tasks, at the levels that the number of candidates leaves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apprentice.gate.gate import Bar, plan_of
from bench.figures import Figure, flags, report
from memory.proof.power import run
from memory.proof.spending import Spending

WAYS = ("alone", "together", "climbing")
CHANGED = 0.2
"""Share of the tasks whose end a round decides again."""

RATE = 0.5  # of tasks solved before the first round
ROUNDS = 8

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a life of some rounds is simulated with."""

    lives: int
    pairs: int  # an exam
    gain: float  # what each round adds to the share solved, in truth


def main() -> None:
    options = flags(__doc__).parse_args()
    lives = 400 if options.quick else 4000
    rng = np.random.default_rng(20250)
    figures: dict[str, Figure] = {"lives": lives, "rounds": ROUNDS}
    for pairs in (40, 120):
        for name, gain in (("nothing", 0.0), ("4_points", 0.04)):
            for way in WAYS:
                promoted = ever_promoted(way, Setting(lives, pairs, gain), rng)
                key = f"gaining_{name}_{pairs}_pairs_{way}"
                figures[f"{key}_promoted"] = float(promoted.mean())
    report("rounds", figures, json_path=options.json, packages=("numpy", "scipy"))


def ever_promoted(way: str, setting: Setting, rng: Generator) -> Flags:
    """Return in which lives a candidate was promoted; a life ends with that.

    Shape suffixes: L lives, N tasks of the exam.
    """
    shape = (setting.lives, setting.pairs)
    acts_LN = rng.random(shape) < RATE
    student_LN, rate_L = acts_LN, np.full(setting.lives, RATE)
    promoted_L = np.zeros(setting.lives, dtype=bool)
    spending = Spending()
    for _ in range(ROUNDS):
        again_LN = rng.random(shape) < CHANGED
        better_L1 = rate_L[:, None] + setting.gain / CHANGED  # where it is decided again
        candidate_LN = np.where(again_LN, rng.random(shape) < better_L1, student_LN)
        win_LN, loss_LN = candidate_LN & ~acts_LN, acts_LN & ~candidate_LN
        plan = plan_of(Bar(pairs=setting.pairs), spending.level(), setting.pairs)
        course = run(win_LN, loss_LN, plan)
        promoted_L |= course.promoted_G
        spending = spending.after(0)
        on_L = _adds_up(way, win_LN, loss_LN, course.stopped_G)
        student_LN = np.where(on_L[:, None], candidate_LN, acts_LN)
        rate_L = np.where(on_L, rate_L + setting.gain, RATE)
    return promoted_L


def _adds_up(way: str, win_LN: Flags, loss_LN: Flags, played_L: NDArray[np.int64]) -> Flags:
    """Return where the next candidate is made of this one's gains too."""
    if way == "climbing":
        seen_LN = np.arange(win_LN.shape[1]) < played_L[:, None]
        return (win_LN & seen_LN).sum(axis=1) >= (loss_LN & seen_LN).sum(axis=1)
    return np.full(len(win_LN), way == "together")


if __name__ == "__main__":
    main()
