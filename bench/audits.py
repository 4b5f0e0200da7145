"""Do the audits notice planted flaws, stay quiet on clean runs, and agree with closed forms?"""

from collections import Counter
from itertools import product

import numpy as np

from bench.figures import flags, report
from distill.audit.calibration import ece, null_eces
from distill.audit.gap import measure
from distill.audit.hacking import Alarm, alarms
from distill.audit.planted import Flaw, planted_run
from distill.audit.simulate import World, anchored_loop, binary_gap

ANSWERS = 200
"""Answers in one calibration check, each right with its own confidence."""

GRID = np.round(np.arange(0.1, 1.0, 0.1), 1)
"""Success rates, true- and false-positive rates of the closed form."""


def main() -> None:
    args = flags(__doc__).parse_args()
    seeds, checks = (20, 300) if args.quick else (100, 2000)
    found = {flaw: [_audit(flaw, seed) for seed in range(seeds)] for flaw in Flaw}
    for flaw, runs in found.items():
        signs = Counter(alarm.sign.value for run in runs for alarm in run)
        print(f"{flaw.value}: flagged {_flagged(runs):.2f} of {seeds}; {dict(signs)}")
    for world, external in product((World.NO_SIGNAL, World.SYSTEMATIC), (0.0, 0.1)):
        rounds = list(anchored_loop(world, external, 8, 1000, np.random.default_rng(0)))
        accuracy = " ".join(f"{each.accuracy:.3f}" for each in rounds)
        end = "refused" if rounds[-1].allowance.refused else "allowed"
        print(f"loop, {world.value}, {external:.0%} external: accuracy {accuracy}; {end}")
    hacked = [run for flaw, runs in found.items() if flaw is not Flaw.NONE for run in runs]
    figures = {
        "hacks_flagged_share": _flagged(hacked),
        "clean_flagged_share": _flagged(found[Flaw.NONE]),
        "ece_null_inside_share": _null_inside(checks),
        "gap_closed_form_max_error": _gap_error(),
        "seeds": seeds,
    }
    report("audits", figures, json_path=args.json, packages=("numpy", "scipy"))


def _audit(flaw: Flaw, seed: int) -> tuple[Alarm, ...]:
    return alarms(planted_run(flaw, np.random.default_rng(seed)))


def _flagged(runs: list[tuple[Alarm, ...]]) -> float:
    return float(np.mean([bool(run) for run in runs]))


def _null_inside(checks: int) -> float:
    """Return how often exact confidences have an ECE under the 95 % quantile of their own null."""
    rng = np.random.default_rng(0)
    inside: list[bool] = []
    for _ in range(checks):
        confidence_N = rng.random(ANSWERS)
        observed = ece(confidence_N, rng.random(ANSWERS) < confidence_N)
        inside.append(observed <= float(np.quantile(null_eces(confidence_N, rng), 0.95)))
    return float(np.mean(inside))


def _gap_error() -> float:
    """Return the largest distance to the closed form, over whole populations of ten answers."""
    errors = [0.0]
    for rate, a, b in product(GRID, GRID, GRID):
        utility_PN = (np.arange(10) < round(10 * rate)).astype(float)[None].repeat(2, axis=0)
        found = measure(utility_PN, np.where(utility_PN == 1, a, b), np.random.default_rng(0))
        errors.append(abs(found.gap - binary_gap(float(rate), float(a), float(b))))
    return max(errors)


if __name__ == "__main__":
    main()
