"""The objectives that come ready made, each a few lines of composition.

cold-start        imitate demonstrations
reward            what paid more, within its group
critique          what the same model says once it was shown how
reward+critique   both; the default, and the only one that every paper found stable
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distill.batch import Source
from distill.divergence import jensen_shannon
from distill.objectives.imitate import imitate
from distill.objectives.objective import Objective, among, combined, only
from distill.objectives.refine import refine
from distill.objectives.reinforce import clipped
from distill.objectives.self_distill import distill

REWARD_SHARE = 0.9
"""Of reward against critique: small models gain little from critique alone (SDPO: 0.9)."""

REPLAY = 1.0
"""Weight of the demonstrations that are mixed in, a mean over their own tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    objective: Objective
    practises: bool  # learns from its own attempts
    teaches: bool  # a teacher must have been shown hints


_replay = only(Source.DEMONSTRATION, imitate)
# What was tried under another prompt (after a critique, or told by memory) has no honest ratio.
_reward = among((Source.ROLLOUT, Source.REFINEMENT), refine(clipped()))
# What is shown is a sibling's success.
_critique = only(Source.ROLLOUT, distill(jensen_shannon(0.5)))

PRESETS: Mapping[str, Preset] = {
    "cold-start": Preset(objective=_replay, practises=False, teaches=False),
    "reward": Preset(
        objective=combined((1.0, _reward), (REPLAY, _replay)), practises=True, teaches=False
    ),
    "critique": Preset(
        objective=combined((1.0, _critique), (REPLAY, _replay)), practises=True, teaches=True
    ),
    "reward+critique": Preset(
        objective=combined(
            (REWARD_SHARE, _reward), (1 - REWARD_SHARE, _critique), (REPLAY, _replay)
        ),
        practises=True,
        teaches=True,
    ),
}
DEFAULT = "reward+critique"
