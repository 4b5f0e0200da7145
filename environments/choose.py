"""From what a policy wrote to the action it means, or to None if it means none.

Forgiving about form (case, quotes, a label, a list number), never about content: a text that names
no admissible action is not guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

_LABEL = re.compile(r"^\W*(?:\w+ )?action(?: ?\d+)?\W*?:\W*(\S.*)$", re.IGNORECASE | re.MULTILINE)
"""A line such as "Action: X", "**Next action:** X" or "Action 3: X"; X may be on the next line."""

_QUOTED = re.compile(r"\"([^\"\n]+)\"|`([^`\n]+)`|\*\*([^*\n]+)\*\*|(?<!\w)'([^'\n]+)'(?!\w)")
_NUMBER = re.compile(r"^\d+\s*[.):]\s+")
_DECORATION = " \t\"'`*_.,!;:>-#"


def choose(text: str, admissible: Sequence[str]) -> str | None:
    r"""Return the action that a completion means; with no admissible list, any text is one.

    >>> choose("I see a desk. Action: Go to desk 1.", ["go to desk 1", "look"])
    >>> choose("I see a desk.\nAction: Go to desk 1.", ["go to desk 1", "look"])
    'go to desk 1'
    """
    answer = text.rpartition("</think>")[2].strip()
    if not admissible:
        return answer or None
    if answer in admissible:
        return answer
    legal = _spellings(admissible)
    labelled = [match[1] for match in _LABEL.finditer(answer)]
    found = [legal.get(_fold(each)) for each in labelled or _candidates(answer)]
    return next((action for action in reversed(found) if action is not None), None)


def _spellings(admissible: Sequence[str]) -> Mapping[str, str | None]:
    """Map each folded action to itself and its place to it; None: the spelling is ambiguous."""
    legal: dict[str, str | None] = {str(place): each for place, each in enumerate(admissible, 1)}
    folded = [_fold(action) for action in admissible]
    if any(each.isdigit() for each in folded):
        legal.clear()  # the actions are numbers: a number is never a place
    for spelling, action in zip(folded, admissible, strict=True):
        legal[spelling] = None if folded.count(spelling) > 1 else action
    return legal


def _candidates(answer: str) -> Iterator[str]:
    for line in answer.splitlines():
        yield line
        for quoted in _QUOTED.finditer(line):
            yield next(group for group in quoted.groups() if group)


def _fold(text: str) -> str:
    bare = _NUMBER.sub("", text.strip(_DECORATION)).strip(_DECORATION)
    return " ".join(bare.casefold().split())
