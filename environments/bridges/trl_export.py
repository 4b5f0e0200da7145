"""Our environments for TRL's GRPO trainer (`environment_factory`, TRL 1.16), which learns in them.

TRL makes one object for each rollout it runs at a time, and uses it again and again: `reset` begins
a task, the other public methods are tools for the model, `get_reward` says what came of it. Nothing
of TRL's is needed for that, so nothing of it is imported.
"""

from collections.abc import Callable
from typing import Any

from environments.bridges.words import OVER, shown
from environments.environment import Environment, Play
from environments.episode import Split

Row = dict[str, Any]


def rows(environment: Environment, split: Split = Split.TRAIN) -> list[Row]:
    """Return a split as the rows of a data set: `datasets.Dataset.from_list(rows(...))`.

    The first observation is not in them: TRL adds to the last message what `reset` returns.
    """
    return [
        {
            "prompt": [
                {"role": "system", "content": environment.instructions},
                {"role": "user", "content": ""},
            ],
            "task": task.id,
        }
        for task in environment.tasks(split)
    ]


def factory(environment: Environment) -> "Callable[[], Rollout]":
    """Return what to pass as `environment_factory`; all rollouts share the environment."""
    return lambda: Rollout(environment)


class Rollout:
    """One rollout after another, as TRL wants it: its public methods are what the model may do."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._play: Play | None = None
        self._reward = 0.0

    def reset(self, *, task: str, **_: object) -> str:
        """Begin a task, as a row names it; return what is seen."""
        if self._play is not None:
            self._play.close()
        self._play = self._environment.start(self._environment.task(task))
        self._reward = 0.0
        return shown(self._play.observation)

    def act(self, action: str) -> str:
        """Take one action and see what comes of it.

        Args:
            action: The action, word for word as it is listed, if actions are listed.

        Returns:
            What is seen now.
        """
        if self._play is None or self._play.observation.ending is not None:
            return OVER
        seen = self._play.step(action)
        self._reward += seen.reward
        return shown(seen)

    def get_reward(self) -> float:
        """Return the rewards of the rollout so far, added up."""
        return self._reward
