"""Say what was said: supervised learning on sequences that are worth repeating.

For demonstrations (a cold start, STaR and its kin) and for the policy's own successes. Nothing is
corrected for who sampled the tokens, so repeated rounds narrow the policy toward what it imitates.
"""

from torch import Tensor

from distill.objectives.objective import decided, mean
from distill.sequences.batch import Batch, Logprobs


def imitate(logprobs: Logprobs, batch: Batch) -> Tensor:
    """Return the mean negative log-probability of the decided tokens."""
    return mean(-logprobs.taken_BT[decided(batch)], batch)
