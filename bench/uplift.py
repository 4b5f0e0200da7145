"""Does the interval of a memory's uplift cover the truth, and how soon are bad memories retired?

Histories of recalls with known effects, a tenth of them with the item left out by lot.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from bench.figures import flags, report
from memory.proof.credit import FIRST_LOOK, Bar, Use, retirement, uplift

PROPENSITY = 0.9
LENGTHS = (20, 40, 80, 160, 320)
"""Uses in a history; with 20, two are left out."""

TRUTHS = ((0.5, 0.5), (0.3, 0.4), (0.6, 0.75), (0.85, 0.9), (0.1, 0.1), (0.5, 0.3), (0.2, 0.6))
"""Share solved without and with the item."""

LOOKS = tuple(FIRST_LOOK << i for i in range(9))
"""Uses at which an item can be retired, up to 6,400."""


def main() -> None:
    args = flags(__doc__).parse_args()
    histories, lives = (500, 100) if args.quick else (10_000, 1000)
    rng = np.random.default_rng(20252)
    covered: dict[int, list[bool]] = {length: [] for length in LENGTHS}
    errors: list[float] = []
    for i in range(histories):
        without, shown = TRUTHS[i % len(TRUTHS)]
        found = uplift(_history(LENGTHS[i % len(LENGTHS)], without, shown, rng))
        covered[LENGTHS[i % len(LENGTHS)]].append(shown - without in found.interval)
        if found.estimate is not None:
            errors.append(found.estimate - (shown - without))
    for length, hits in covered.items():
        print(f"{length} uses: covered {np.mean(hits):.3f} of {len(hits)}")
    harms_30 = _lifetimes(-0.30, lives, rng)
    harms_10, idle, helps = (_lifetimes(effect, lives, rng) for effect in (-0.10, 0.0, 0.10))
    figures = {
        "coverage_95": float(np.mean([hit for hits in covered.values() for hit in hits])),
        "coverage_95_lowest_length": float(min(np.mean(hits) for hits in covered.values())),
        "coverage_95_highest_length": float(max(np.mean(hits) for hits in covered.values())),
        "mean_error": float(np.mean(errors)),
        "mean_error_standard_error": float(np.std(errors) / len(errors) ** 0.5),
        "uses_until_30_points_harm_retired": float(np.median(harms_30)),
        "uses_until_10_points_harm_retired": float(np.median(harms_10)),
        "uses_until_idle_retired": float(np.median(idle)),
        "retired_of_10_points_help": float(np.mean(np.isfinite(helps))),
        "histories": histories,
    }
    report("uplift", figures, json_path=args.json, packages=("numpy", "scipy"))


def _history(length: int, without: float, shown: float, rng: Generator) -> list[Use]:
    shown_N = rng.random(length) < PROPENSITY
    solved_N = rng.random(length) < np.where(shown_N, shown, without)
    return [
        Use(
            item="item",
            episode=str(i),
            kind="",
            shown=bool(shown_N[i]),
            propensity=PROPENSITY,
            solved=bool(solved_N[i]),
        )
        for i in range(length)
    ]


def _lifetimes(effect: float, lives: int, rng: Generator) -> list[float]:
    """Return after how many uses each item is retired; infinity where it never is."""
    return [_lifetime(_history(LOOKS[-1], 0.5, 0.5 + effect, rng)) for _ in range(lives)]


def _lifetime(uses: Sequence[Use]) -> float:
    found = (seen for seen in LOOKS if retirement(uses[:seen], Bar()) is not None)
    return float(next(found, np.inf))


if __name__ == "__main__":
    main()
