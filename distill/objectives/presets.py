"""The objectives that come ready made, each a few lines of composition.

cold-start        imitate demonstrations
reward            what paid more, within its group
critique          what the same model says once it was shown how
reward+critique   both; the default, and the only one that every paper found stable

Another composition is a `Preset` in a module of yours, named as `my_module:PRESET`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from distill.objectives.divergence import jensen_shannon
from distill.objectives.imitate import imitate
from distill.objectives.objective import Objective, among, combined, only
from distill.objectives.refine import refine
from distill.objectives.reinforce import clipped
from distill.objectives.self_distill import distill
from distill.sequences.batch import Source
from environments.errors import UserError, refuse_unknown

REWARD_SHARE = 0.9
"""Of reward against critique: small models gain little from critique alone (SDPO: 0.9)."""

REPLAY = 1.0
"""Weight of the demonstrations that are mixed in, a mean over their own tokens."""


class PresetError(UserError, ValueError):
    """A preset of one's own that cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is learned, and what it has to be learned from."""

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


def preset_of(name: str) -> Preset:
    """Return the preset of this name, or one of somebody's own, as `my_module:PRESET`.

    Raises:
        UnknownNameError: none comes ready made under it.
        PresetError: the module cannot be imported, or holds no preset of this name.
    """
    module, colon, variable = name.partition(":")
    if not colon:
        refuse_unknown("preset", [name], (*PRESETS, "MODULE:PRESET"))
        return PRESETS[name]
    try:
        found = getattr(import_module(module), variable)
    except (ImportError, AttributeError) as error:
        raise PresetError(f"preset {name!r}: {error}; it must be on PYTHONPATH") from None
    if not isinstance(found, Preset):
        raise PresetError(f"{name!r} is no Preset but of type {type(found).__name__}")
    return found
