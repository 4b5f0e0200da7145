"""How often the promotion gate is wrong, and how soon it is right, where the truth is known.

Pairs are drawn with a stated correlation between incumbent and candidate on one task (phi): two
versions of one agent fail on much the same tasks. Power is printed beside the most that any test
could have with as many pairs, since independent pairs near one half hold too little information.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from bench.figures import flags, report
from memory.proof.power import Course, Joint, ceiling, draw, joint, run
from memory.proof.sequential import Plan, critical_wins
from memory.proof.spending import Spending

CORRELATION = 0.5
"""Phi between two versions of one agent on a task; the table shows what others would give."""

RATES = (0.25, 0.4, 0.5, 0.6, 0.75, 0.85)
"""Share of tasks that the incumbent solves."""

TYPES = 6
"""Task types in the household games, all alike frequent here."""

GATES = 400
"""Simulated gates of each sort, with --quick; ten times as many without."""

Plant = Callable[[float], Joint]
"""From the share that the incumbent solves to the truth about a candidate that is no better."""


def noisy(size: float) -> Plant:
    """Noise in the weights: at this share of tasks it is half as able, and by its own luck."""
    return lambda rate: Joint(win=size * (1 - rate) * rate / 2, loss=size * rate * (1 - rate / 2))


def forgetful(rate: float) -> Joint:
    """Fail one task type altogether and be as good as the incumbent elsewhere."""
    same = joint(rate, rate, CORRELATION)
    kept = (TYPES - 1) / TYPES
    return Joint(same.win * kept, same.loss * kept + rate / TYPES)


def equal(rate: float) -> Joint:
    """Learn only the format, which the incumbent had: solve as much, but not the same tasks."""
    return joint(rate, rate, CORRELATION)


WORSE: dict[str, Plant] = {
    "noise in 10 % of tasks": noisy(0.1),
    "noise in 30 % of tasks": noisy(0.3),
    "noise in 60 % of tasks": noisy(0.6),
    "forgot a task type": forgetful,
    "learned only the format": equal,
}


def main() -> None:
    args = flags(__doc__).parse_args()
    gates = GATES if args.quick else 10 * GATES
    plan = Plan(level=Spending().level())
    rng = np.random.default_rng(20250)
    worse = {
        name: _pooled([plant(rate) for rate in RATES], plan, gates, rng)
        for name, plant in WORSE.items()
    }
    for name, course in worse.items():
        print(f"{name}: promoted {course.share:.3f}, decided after {course.median_pairs:.0f} pairs")
    gains = [joint(rate, rate + 0.10, CORRELATION) for rate in RATES]
    better = [run(*draw(truth, gates, plan.pairs, rng), plan) for truth in gains]
    print("\n" + _patience_table(gates, rng))
    print("\n" + _power_table(gates, rng) + "\n")
    figures = {
        "false_promotion_rate": float(np.mean([course.share for course in worse.values()])),
        "false_promotion_rate_worst": max(course.share for course in worse.values()),
        "power_10_points_200": float(np.mean([course.share for course in better])),
        "power_10_points_200_worst_rate": min(course.share for course in better),
        "power_10_points_200_ceiling": float(np.mean([ceiling(truth, plan) for truth in gains])),
        "sequential_error_rate": _error_rate(plan, 10 * gates, rng),
        "median_pairs": float(np.median(np.concatenate([each.stopped_G for each in better]))),
        "median_pairs_equal": worse["learned only the format"].median_pairs,
        "median_pairs_type_forgotten": worse["forgot a task type"].median_pairs,
        "level": plan.level,
        "gates_of_each_sort": gates,
    }
    report("gate", figures, json_path=args.json, packages=("numpy", "scipy"))


def _pooled(truths: Sequence[Joint], plan: Plan, gates: int, rng: Generator) -> Course:
    each = [draw(truth, -(-gates // len(truths)), plan.pairs, rng) for truth in truths]
    win_GT, loss_GT = (np.concatenate(parts) for parts in zip(*each, strict=True))
    return run(win_GT[:gates], loss_GT[:gates], plan)


def _error_rate(plan: Plan, gates: int, rng: Generator) -> float:
    """Return how often an equal candidate is ever over the line, looked at after every pair."""
    win_GT, loss_GT = draw(joint(0.5, 0.5, CORRELATION), gates, plan.pairs, rng)
    over_GT = win_GT.cumsum(axis=1) >= critical_wins(win_GT | loss_GT, plan)
    return float(over_GT.any(axis=1).mean())


def _patience_table(gates: int, rng: Generator) -> str:
    rows = ["| patience | power at +10 (60 to 70 %) | median pairs |", "| ---: | ---: | ---: |"]
    for patience in (1.0, 2.0, 3.0):
        plan = Plan(patience=patience)
        course = run(*draw(joint(0.6, 0.7, CORRELATION), gates, plan.pairs, rng), plan)
        rows.append(f"| {patience:g} | {course.share:.3f} | {course.median_pairs:.0f} |")
    return "\n".join(rows)


def _power_table(gates: int, rng: Generator) -> str:
    """Return power and its ceiling at +10 points and 200 pairs, by level, rate and correlation."""
    rows = [
        "| level | incumbent | phi | discordant | power | ceiling | median pairs |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for level, rate, phi in [(a, r, c) for a in (0.05, 0.025) for r in (0.25, 0.5, 0.75)
                             for c in (0.0, 0.3, 0.5, 0.7)]:  # fmt: skip
        plan, truth = Plan(level=level), joint(rate, rate + 0.10, phi)
        course = run(*draw(truth, gates, plan.pairs, rng), plan)
        numbers = (course.share, ceiling(truth, plan), course.median_pairs)
        rows.append(
            f"| {level:g} | {rate:.0%} | {phi:.1f} | {truth.win + truth.loss:.2f} "
            f"| {numbers[0]:.3f} | {numbers[1]:.3f} | {numbers[2]:.0f} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
