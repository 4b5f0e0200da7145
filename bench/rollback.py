"""How soon a policy that fell is withdrawn, and how often an able one is, where the truth is known.

The chance of meeting the line is computed over all courses of the episodes, not simulated. Exams
are of a fixed size, or end as the gate ends them: at a moment that flatters who is promoted.
"""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from scipy.stats import binom, hypergeom

from apprentice.settings.config import Gate
from bench.figures import flags, report
from bench.gate import CORRELATION
from memory.proof.fall import Tally, fewest_failures, withdrawn
from memory.proof.power import draw, joint, run
from memory.proof.sequential import Counts, Plan
from memory.proof.spending import Spending

LEVEL = Gate().rollback
SOON = 60  # episodes within which a fall is to be noticed
LONG = 100  # episodes in which an able policy is to be left alone
LONGER = 1_000

EXAMS = (40, 112)
"""Tasks: a short exam, and about the gate's median with its anchors."""

SHARES = (0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 0.95)
FALLS = ((0.85, 0.60), (0.85, 0.70), (0.85, 0.42), (0.85, 0.0), (0.5, 0.25), (0.95, 0.80))
GAINS = ((0.5, 0.6), (0.75, 0.85), (0.5, 0.75))
"""Of who is promoted: the share solved by the incumbent, and by the candidate."""

FALL = 0.25  # of who was promoted, in share solved
RARE = 1e-4  # exams less likely than this are left out of a sum

GATES = 200
"""Simulated for each gain, with --quick; four times as many without."""


def main() -> None:
    args = flags(__doc__).parse_args()
    rng = np.random.default_rng(20250)
    print(_falls_table() + "\n")
    equal = [chance(size, share, share, LONG) for size in EXAMS for share in SHARES]
    exams = [_promoted(*gain, GATES if args.quick else 4 * GATES, rng) for gain in GAINS]
    gated = list(zip(exams, (after for _, after in GAINS), strict=True))
    figures = {
        "equal_withdrawn_100_mean": float(np.mean(equal)),
        "equal_withdrawn_100_worst": max(equal),
        "equal_withdrawn_1000": chance(EXAMS[0], 0.75, 0.75, LONGER),
        "equal_withdrawn_100_after_gate": float(
            np.mean([_chance_after(found, share, LONG) for found, share in gated])
        ),
        "fall_25_points_60_after_gate": float(
            np.mean([_chance_after(found, share - FALL, SOON) for found, share in gated])
        ),
        **{f"fall_85_to_60_exam_{size}": chance(size, *FALLS[0], SOON) for size in EXAMS},
        **{
            f"fall_85_to_60_exam_{size}_ceiling": ceiling(size, *FALLS[0], max(equal))
            for size in EXAMS
        },
        "level": LEVEL,
    }
    report("rollback", figures, json_path=args.json, packages=("numpy", "scipy"))


def chance(size: int, examined: float, now: float, episodes: int) -> float:
    """Return the chance of being withdrawn within so many episodes, over all exams of a size."""
    solved_N = np.arange(size + 1)
    likely_N = binom.pmf(solved_N, size, examined)
    return sum(
        float(likely) * float(withdrawn(_line(int(solved), size, episodes), now)[-1])
        for solved, likely in zip(solved_N, likely_N, strict=True)
        if likely > RARE
    )


def ceiling(size: int, examined: float, now: float, level: float) -> float:
    """Return the power that no unbiased test at this level has in one look after 60 episodes.

    Fisher's test with a lot on its edge (Tocher 1950), given how many are solved in all.
    """
    likely_N = binom.pmf(np.arange(size + 1), size, examined)
    after_S = binom.pmf(np.arange(SOON + 1), SOON, now)
    power = 0.0
    for both in range(size + SOON + 1):
        solved_S = np.arange(max(0, both - size), min(SOON, both) + 1)
        null_S = hypergeom.pmf(solved_S, size + SOON, both, SOON)
        left_S = np.maximum(level - (null_S.cumsum() - null_S), 0.0)
        rejects_S = np.minimum(left_S / null_S, 1.0)
        power += float((rejects_S * after_S[solved_S] * likely_N[both - solved_S]).sum())
    return power


@lru_cache(None)
def _line(solved: int, size: int, episodes: int) -> Counts:
    return fewest_failures(Tally(solved, size - solved), LEVEL, episodes)


def _chance_after(exams: list[Tally], now: float, episodes: int) -> float:
    lines = (_line(exam.solved, exam.solved + exam.failed, episodes) for exam in exams)
    return float(np.mean([withdrawn(line, now)[-1] for line in lines]))


def _promoted(before: float, after: float, gates: int, rng: Generator) -> list[Tally]:
    """Return the exams of the candidates that simulated gates promoted."""
    plan, truth = Plan(level=Spending().level()), joint(before, after, CORRELATION)
    win_GT, loss_GT = draw(truth, gates, plan.pairs, rng)
    tied = (after - truth.win) / (
        1 - truth.win - truth.loss
    )  # chance that both solve what neither won
    solved_GT = win_GT | (~loss_GT & (rng.random(win_GT.shape) < tied))
    course = run(win_GT, loss_GT, plan)
    played = [
        (int(course.stopped_G[gate]), int(solved_GT[gate, : course.stopped_G[gate]].sum()))
        for gate in np.flatnonzero(course.promoted_G)
    ]
    return [Tally(solved, pairs - solved) for pairs, solved in played]


def _falls_table() -> str:
    """Return how soon falls are noticed, for each size of the exam."""
    rows = [
        "| exam | then | now | withdrawn by 30 | by 60 | by 100 |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in EXAMS:
        for then, now in (*FALLS, *((share, share) for share in SHARES[::3])):
            found = [chance(size, then, now, episodes) for episodes in (SOON // 2, SOON, LONG)]
            told = " | ".join(f"{each:.3f}" for each in found)
            rows.append(f"| {size} | {then:.0%} | {now:.0%} | {told} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
