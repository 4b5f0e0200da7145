"""Which actions are still worth trying: those not taken before where everything looked the same.

A policy that is lost walks in circles: it takes the action again that led it here. In a world
without chance the same action at the same sight leads to the same place, so it is struck from the
list, as long as anything else is left. Only the transcript is asked, so every world can use it.
"""

from collections.abc import Iterable, Sequence

from environments.environment import Environment
from environments.episode import Step


def repeats_lead_nowhere(environment: Environment) -> bool:
    """Return whether a world says that the same action at the same sight leads to the same place.

    One that does has an attribute of this name that is true.
    """
    return bool(getattr(environment, "repeats_lead_nowhere", False))


def untried(seen: str, admissible: Sequence[str], steps: Iterable[Step]) -> tuple[str, ...]:
    """Return the actions not yet taken at this sight; all of them, if none is left.

    >>> from environments.episode import Completion
    >>> went = Step(observation="A hall.", completion=Completion(text="east"), action="east")
    >>> untried("A hall.", ("east", "west"), [went])
    ('west',)
    """
    tried = {step.action for step in steps if step.observation == seen}
    return tuple(action for action in admissible if action not in tried) or tuple(admissible)
