"""Round after round: what is promoted in the end, by where each round begins to learn.

`anew`: from who acts, as long as nothing is promoted. `going on`: from the last candidate, unless
it is surely worse; this is what `apprentice learn` does. `climbing`: from the last candidate if it
did at least as well in its exam, which uses the held-out tasks to choose and is here to compare.
Each round changes how some tasks end, by chance or also for the better; all exams are held on the
same tasks, at the levels that the number of candidates leaves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apprentice.gate.gate import Bar, plan_of
from bench.figures import Figure, flags, report
from memory.proof.intervals import paired
from memory.proof.power import run
from memory.proof.spending import Spending

WAYS = ("anew", "going on", "climbing")
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
                key = f"gaining_{name}_{pairs}_pairs_{way.replace(' ', '_')}"
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
        on_L = _goes_on(way, win_LN, loss_LN, course.stopped_G)
        student_LN = np.where(on_L[:, None], candidate_LN, acts_LN)
        rate_L = np.where(on_L, rate_L + setting.gain, RATE)
    return promoted_L


def _goes_on(way: str, win_LN: Flags, loss_LN: Flags, played_L: NDArray[np.int64]) -> Flags:
    """Return where the next round begins with the candidate, by the pairs that were played."""
    seen_LN = np.arange(win_LN.shape[1]) < played_L[:, None]
    wins_L, losses_L = ((each & seen_LN).sum(axis=1) for each in (win_LN, loss_LN))
    if way == "climbing":
        return wins_L >= losses_L
    _, high_L = paired(wins_L, losses_L, played_L)
    return high_L >= 0 if way == "going on" else np.zeros(len(wins_L), dtype=bool)


if __name__ == "__main__":
    main()
