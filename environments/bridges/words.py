"""What a play shows, as one text for a model in someone else's loop, which knows no lists."""

from environments.environment import Observation

OVER = "The task is over."


def shown(seen: Observation) -> str:
    r"""Return what is seen, and which actions there are.

    >>> from environments.environment import ongoing
    >>> shown(ongoing("A hall.", ["east", "west"]))
    'A hall.\n\nYou can:\n- east\n- west'
    """
    if seen.ending is not None:
        return f"{seen.text}\n{OVER}"
    listed = "".join(f"\n- {action}" for action in seen.admissible)
    return f"{seen.text}\n\nYou can:{listed}" if listed else seen.text
