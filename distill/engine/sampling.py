"""One token from a set of logits, and the log-probability it had.

Randomness is a counter-based stream keyed by the turn's seed, one number a decision, so what is
drawn depends on the seed and the logits alone, never on the batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEY_BITS = 128
"""Size of a Philox key (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")."""


@dataclass(frozen=True, slots=True)
class Choice:
    index: int  # into the logits
    logprob: float  # nats


def stream(seed: int) -> np.random.Generator:
    """Return the random numbers of one turn."""
    return np.random.Generator(np.random.Philox(key=seed % (1 << KEY_BITS)))


def choose(logits: NDArray[np.float64], temperature: float, random: np.random.Generator) -> Choice:
    """Sample at a temperature; at 0 take the largest (the first of equals), recorded as at 1.

    >>> choose(np.log([0.25, 0.5, 0.25]), 0.0, stream(1))
    Choice(index=1, logprob=-0.6931471805599453)
    """
    scaled = logits / (temperature or 1.0)
    scaled = scaled - scaled.max()
    logprobs = scaled - np.log(np.exp(scaled).sum())
    if temperature == 0:
        index = int(logprobs.argmax())
    else:
        cumulative = np.exp(logprobs).cumsum()
        draw = random.random() * cumulative[-1]
        index = int(np.searchsorted(cumulative, draw, side="right"))
    return Choice(index, float(logprobs[index]))
