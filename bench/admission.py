"""What the proof of memories admits when their true effects are known, and what it costs.

Candidates come in rounds of ten at a level that shrinks with the rounds judged. A pair is two
episodes of one train task, with and without the candidate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from bench.figures import flags, report
from memory.proof.power import Course, ceiling, draw, joint, run
from memory.proof.sequential import Plan
from memory.proof.spending import Spending

RATE, CORRELATION = 0.5, 0.5
"""Share solved without the candidate, where pairs tell least, and phi between the two episodes."""

ROUNDS, CANDIDATES = 20, 10
"""200 candidates in all."""

PAIRS = 300
"""At most, for one candidate; 200 would show 10 points in the first round in half of the cases."""

EFFECTS = (-0.10, 0.0, 0.05, 0.10, 0.15, 0.20, 0.30)
"""True uplifts of the operating curve."""

MIXED = (0.0,) * 5 + (0.10, 0.10, 0.20, -0.10, -0.10)
"""Uplifts of the ten candidates of a round in a mixed world: three help, two harm."""


@dataclass(frozen=True, slots=True)
class History:
    """What was admitted over all rounds."""

    useless: int  # admitted, but no better
    useful: int
    candidates: int
    useful_candidates: int

    @property
    def false_share(self) -> float:
        return self.useless / max(1, self.useless + self.useful)


def main() -> None:
    args = flags(__doc__).parse_args()
    worlds, gates = (20, 1000) if args.quick else (200, 10_000)
    rng = np.random.default_rng(20251)
    plan = Plan(level=Spending().level(CANDIDATES), pairs=PAIRS)
    curve = {effect: _course(effect, plan, gates, rng) for effect in EFFECTS}
    print(_table(curve, plan) + "\n")
    null = [_history((0.0,) * CANDIDATES, rng) for _ in range(worlds)]
    mixed = [_history(MIXED, rng) for _ in range(worlds)]
    figures = {
        "false_admission_rate": sum(each.useless for each in null) / (200 * worlds),
        "null_worlds_with_any_admission": float(np.mean([each.useless > 0 for each in null])),
        "stated_false_share": Spending().false_share,
        "false_share_of_admitted_mixed": float(np.mean([each.false_share for each in mixed])),
        "useful_admitted_mixed": sum(each.useful for each in mixed)
        / sum(each.useful_candidates for each in mixed),
        "harmful_admission_rate": curve[-0.10].share,
        "power_at_10_points": curve[0.10].share,
        "power_at_10_points_ceiling": ceiling(joint(RATE, RATE + 0.10, CORRELATION), plan),
        "power_at_20_points": curve[0.20].share,
        "median_episodes_at_10_points": 2 * curve[0.10].median_pairs,
        "median_episodes_useless": 2 * curve[0.0].median_pairs,
        "level": plan.level,
    }
    report("admission", figures, json_path=args.json, packages=("numpy", "scipy"))


def _course(effect: float, plan: Plan, gates: int, rng: Generator) -> Course:
    return run(*draw(joint(RATE, RATE + effect, CORRELATION), gates, plan.pairs, rng), plan)


def _history(effects: tuple[float, ...], rng: Generator) -> History:
    spending = Spending()
    useless = useful = 0
    truths = [joint(RATE, RATE + effect, CORRELATION) for effect in effects]
    helps_G = np.array(effects) > 0
    for _ in range(ROUNDS):
        plan = Plan(level=spending.level(len(effects)), pairs=PAIRS)
        pairs = [draw(truth, 1, plan.pairs, rng) for truth in truths]
        win_GT, loss_GT = (np.concatenate(each) for each in zip(*pairs, strict=True))
        admitted_G = run(win_GT, loss_GT, plan).promoted_G
        useful += int((admitted_G & helps_G).sum())
        useless += int((admitted_G & ~helps_G).sum())
        spending = spending.after(int(admitted_G.sum()))
    return History(useless, useful, ROUNDS * len(effects), ROUNDS * int(helps_G.sum()))


def _table(curve: dict[float, Course], plan: Plan) -> str:
    rows = [
        "| true uplift | admitted | most any test could | median episodes |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for effect, course in curve.items():
        most = f"{ceiling(joint(RATE, RATE + effect, CORRELATION), plan):.3f}"
        rows.append(
            f"| {effect:+.0%} | {course.share:.3f} | {most if effect > 0 else ''} "
            f"| {2 * course.median_pairs:.0f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
