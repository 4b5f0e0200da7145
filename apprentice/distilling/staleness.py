"""How old is an attempt? Counted in trainings between the policy that made it and who learns now.

Practice may go on in one process (`apprentice run`) while another distills (`apprentice distill
--every 6h`), so what is learned from was made by whoever acted then. Every attempt carries the
name of that policy, and its lineage says how far back it is. Within the bound, the objectives weigh
each token by min(pi / pi_old, cap) with the logprobs recorded then; beyond it, it is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apprentice.findings.sample import name_of
from apprentice.settings.acting import BASE, LOCAL, VLLM, Acting, Named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apprentice.settings.config import Config
    from distill.models.adapters import Adapters


def ages(adapters: Adapters, acting: Acting) -> dict[str, int]:
    """Return how many trainings ago each ancestor of who learns acted, by the name it acted under.

    Who learns is 0, the model as it was the oldest; whoever is missing is no ancestor.
    """
    found: dict[str, int] = {}
    adapter: str | None = None if acting.adapter == BASE else acting.adapter
    line: list[str] = []
    while adapter is not None:
        line.append(adapter)
        adapter = adapters.lineage(adapter).parent
    for age, each in enumerate([*line, BASE]):
        for kind in (LOCAL, VLLM):
            found[name_of(str(Named(kind, acting.model, each)))] = age
    return found


def oldest(config: Config) -> int | None:
    """Return how many trainings ago an attempt may have been made; None: any number.

    Where rounds are practised ahead that is by how many rounds, unless the settings say less.
    """
    bound, ahead = config.distill.staleness, config.learn.ahead
    return ahead if bound is None and ahead else bound


def rounds_ahead(config: Config) -> int:
    """Return how many rounds may be practised ahead: no further than can be learned from."""
    bound = oldest(config)
    return config.learn.ahead if bound is None else min(config.learn.ahead, bound)


def fresh(policy: str, ages: Mapping[str, int], most: int | None) -> bool:
    """Return whether an attempt of this policy is at most so many trainings old; None: any is.

    >>> fresh("small@2", {"small@2": 1}, 1), fresh("small@1", {"small@2": 1}, 1)
    (True, False)
    """
    return most is None or (policy in ages and ages[policy] <= most)
