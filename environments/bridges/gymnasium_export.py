"""Our environments as Gymnasium's, so that any tool that acts in its environments acts in ours.

`gymnasium.make("environments.bridges.gymnasium_export:apprentice/household-v0")`: Gymnasium
imports what stands before the colon, which makes the names known. One sees text and acts by text.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import gymnasium
from gymnasium.envs.registration import register
from gymnasium.spaces import Text

from environments.environment import Observation, Play
from environments.episode import Ending, Split
from environments.registry import names, open_environment

LONGEST = 100_000  # characters of an observation or an action
CHARACTERS = frozenset(map(chr, (9, 10, *range(32, 127))))
"""From which random texts are drawn; what is shown may hold others."""

ID = "apprentice/{name}-v0"


class AnyText(Text):
    """Texts of any characters, where Gymnasium's own would refuse what it did not list."""

    def contains(self, x: object) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length


class ToGymnasium(gymnasium.Env[str, str]):
    """One of our environments: each episode is a task, drawn from the seed."""

    def __init__(self, name: str, split: str = "train", **settings: Any) -> None:  # noqa: ANN401 - what Gymnasium's make() is given
        self._environment = open_environment(name, **settings)
        self._tasks = self._environment.tasks(Split(split))
        self._rng = Random(0)
        self._play: Play | None = None
        self.observation_space = AnyText(LONGEST, min_length=0, charset=CHARACTERS)
        self.action_space = AnyText(LONGEST, min_length=0, charset=CHARACTERS)

    @property
    def instructions(self) -> str:
        """Return the rules of the world, for a system message."""
        return self._environment.instructions

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin a task: the one whose id is `options["task"]`, else one drawn from the seed."""
        super().reset(seed=seed)
        if seed is not None:
            self._rng = Random(seed)
        id = (options or {}).get("task")
        task = self._rng.choice(self._tasks) if id is None else self._environment.task(id)
        self.close()
        self._play = self._environment.start(task)
        seen = self._play.observation
        return seen.text, {**_about(seen), "task": task.id, "goal": task.goal}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if self._play is None:
            raise gymnasium.error.ResetNeeded("reset() comes before step()")
        seen = self._play.step(action)
        return seen.text, seen.reward, seen.ending is not None, False, _about(seen)

    def close(self) -> None:
        if self._play is not None:
            self._play.close()
            self._play = None


def _register_all() -> None:
    """Make all environments known to Gymnasium, without opening any."""
    for name in names():
        register(
            id=ID.format(name=name),
            entry_point="environments.bridges.gymnasium_export:ToGymnasium",
            kwargs={"name": name},
            disable_env_checker=True,
            order_enforce=False,
        )


def _about(seen: Observation) -> dict[str, Any]:
    return {"admissible": seen.admissible, "solved": seen.ending is Ending.SOLVED}


_register_all()
