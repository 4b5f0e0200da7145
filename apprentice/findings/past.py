"""Which policies were promoted before the one that acts: judges whose weights nobody trains."""

from rich.text import Text

from apprentice.settings.acting import ADAPTERS, BASE, LOCAL, Named
from apprentice.settings.config import Config
from apprentice.terminal.terminal import aside, inert

PAST = "past"
"""Written for the policy that was promoted before the one that acts."""

ALL = "all"
"""Stands in a report for the tasks of every kind together; no task is of that kind."""


def past_policies(config: Config) -> tuple[str, ...]:
    """Return the policies that acted before the promoted one, oldest first, by their settings.

    Those whose folder somebody deleted are passed over, with a line that says so.
    """
    from distill.models.adapters import Adapters

    adapters = Adapters(config.home / ADAPTERS)
    promoted, known = adapters.promoted(), adapters.names()
    kept = [adapters.lineage(name) for name in promoted if name in known]
    for name in dict.fromkeys(promoted):
        if name not in known:
            aside().print(Text(inert(f"adapter {name!r} was promoted and is gone; passed over")))
    uses = [str(Named(LOCAL, each.base, each.name)) for each in kept if each.name != promoted[-1]]
    first = [str(Named(LOCAL, kept[0].base, BASE))] if kept else []
    return tuple(dict.fromkeys((*first, *uses)))
