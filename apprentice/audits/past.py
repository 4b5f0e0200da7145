"""Which policies were promoted before the one that acts: judges whose weights nobody trains."""

from apprentice.acting import ADAPTERS, BASE, LOCAL, Named
from apprentice.config import Config

PAST = "past"
"""Written for the policy that was promoted before the one that acts."""

ALL = "all"
"""Stands in a report for the tasks of every kind together; no task is of that kind."""


def past_policies(config: Config) -> tuple[str, ...]:
    """Return the policies that acted before the promoted one, oldest first, by their settings."""
    from distill.adapters import Adapters

    kept = Adapters(config.home / ADAPTERS)
    promoted = kept.promoted()
    uses = [str(Named(LOCAL, kept.lineage(name).base, name)) for name in promoted]
    first = [str(Named(LOCAL, kept.lineage(promoted[0]).base, BASE))] if promoted else []
    return tuple(dict.fromkeys((*first, *uses[:-1])))
