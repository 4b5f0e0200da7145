"""What the reaction to a turn says of it: whether it was right, and how to mend it.

OpenClaw-RL (arXiv:2603.10165, read from its code; the choice among hints from the README of its
second version). Hints are asked for elsewhere; this only chooses.

Shape suffixes: H hints, N positions of the response, K top tokens.
"""

from torch import Tensor


def overlap(policy_ids_NK: Tensor, hinted_ids_HNK: Tensor) -> Tensor:
    """Return overlap_HN: how many of the policy's top tokens are also the hinted teacher's."""
    same_HNKK = policy_ids_NK.unsqueeze(-1) == hinted_ids_HNK.unsqueeze(-2)
    return same_HNKK.any(-1).sum(-1)


def nearest_hint(overlap_HN: Tensor) -> int:
    """Return the hint under which the teacher stays closest to the policy over the response.

    The first one on a tie. A hint whose teacher shares few top tokens asks for what this policy
    would never say. A hint that changes nothing has the greatest overlap of all and teaches
    nothing: reject empty hints before choosing.
    """
    return int(overlap_HN.sum(1).argmax())


def nearest_hint_by_token(overlap_HN: Tensor) -> Tensor:
    """Return hint_N, the same choice made anew at each position."""
    return overlap_HN.argmax(0)
