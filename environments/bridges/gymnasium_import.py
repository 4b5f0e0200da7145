"""Gymnasium's environments (MIT) as ours: those that show text, or draw themselves in letters.

The actions are numbers or the names that one gives them, or any text where the action space is
text. Each task is a seed, and no two tasks open alike.
"""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import gymnasium
from gymnasium.spaces import Discrete, Text

from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Task
from environments.errors import UserError
from environments.guarded import GuardedPlay
from environments.seeded import Opening, SeededCatalogue, seed_of
from environments.transcript import NOT_AN_ACTION

NAME = "gymnasium"

INSTRUCTIONS = "You act in {id}. Answer with one action."
OPENING = "{text}\n\nYour task is to: {goal}"

COLOR = re.compile(r"\x1b\[(\d*)[\d;]*m")
COLORS = ("gray", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
"""What a terminal's codes 30 to 37 and 40 to 47 mean (ECMA-48): Taxi marks its goal by one."""


class SpaceError(UserError, TypeError):
    """An environment that does not act or show itself in words."""


class FromGymnasium(SeededCatalogue):
    """Seeds of one of Gymnasium's environments, as an environment."""

    name = NAME

    def __init__(
        self,
        *,
        id: str,
        goal: str = "reach the end with a reward",
        actions: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        module: str = "",
        counts: tuple[int, int, int] = (60, 20, 20),
    ) -> None:
        """Look at the first observations and list the tasks.

        Args:
            id: the name that Gymnasium knows it by.
            goal: what to do, in words.
            actions: names of the actions 0, 1, ...; none: the numbers.
            options: keywords of the environment.
            module: imported first, where that is what makes the name known.
            counts: tasks to practise on, to decide by and to report.
        """
        if module:
            import_module(module)
        super().__init__()
        self.instructions = INSTRUCTIONS.format(id=id)
        self._id = id
        self._options = {"disable_env_checker": True, **(options or {})}
        self._actions = _names(self._made(), actions)
        made = self._made()
        self._add_kind(id, counts, lambda seed: Opening(_opening(made, seed), goal))
        made.close()

    def start(self, task: Task) -> "GymnasiumPlay":
        return GymnasiumPlay(self._made(), self._actions, seed_of(task), task.goal)

    def gold(self, task: Task) -> None:
        return None

    def _made(self) -> gymnasium.Env[Any, Any]:
        try:
            return gymnasium.make(self._id, **self._options)
        except gymnasium.error.Error as error:
            reason = str(error).splitlines()[0]
            raise SpaceError(f"Gymnasium cannot make {self._id!r}: {reason}; see its id") from None


class GymnasiumPlay(GuardedPlay):
    """One seed in play."""

    def __init__(
        self, made: gymnasium.Env[Any, Any], actions: Mapping[str, int], seed: int, goal: str
    ) -> None:
        self._made = made
        self._actions = actions  # none: any text is an action
        self._admissible = tuple(sorted(actions))
        text = _opening(made, seed)
        super().__init__(ongoing(OPENING.format(text=text, goal=goal), self._admissible))

    def close(self) -> None:
        super().close()
        self._made.close()

    def _after(self, action: str) -> Observation:
        name = action.strip()
        if self._actions and name not in self._actions:
            return ongoing(NOT_AN_ACTION, self._admissible)
        seen, given, terminated, truncated, _ = self._made.step(self._actions.get(name, action))
        text, reward = _text(self._made, seen), float(given)
        if terminated and reward > 0:
            return solved(text, reward=reward)
        if terminated or truncated:
            return failed(text, reward=reward)
        return ongoing(text, self._admissible, reward=reward)


def _opening(made: gymnasium.Env[Any, Any], seed: int) -> str:
    return _text(made, made.reset(seed=seed)[0])


def _names(made: gymnasium.Env[Any, Any], given: Sequence[str]) -> dict[str, int]:
    """Return the actions by name; none: any text is one."""
    space = made.action_space
    if isinstance(space, Text):
        return {}
    if not isinstance(space, Discrete):
        raise SpaceError(f"actions are {space}; wanted Discrete or Text: wrap the environment")
    first, size = int(space.start), int(space.n)
    names = given or [str(number) for number in range(first, first + size)]
    if len(names) != size or len(set(names)) != size:
        raise SpaceError(f"actions are named {list(given)}; wanted {size} different names")
    return {name: number for number, name in enumerate(names, first)}


def _text(made: gymnasium.Env[Any, Any], seen: object) -> str:
    """Return what is seen in words: the observation, or the drawing where it is none."""
    if isinstance(seen, str):
        return seen
    drawn = made.render() if made.render_mode == "ansi" else None
    if not isinstance(drawn, str):
        space = made.observation_space
        raise SpaceError(f"it shows {space}; wanted Text, or the option render_mode='ansi'")
    return COLOR.sub(_marked, drawn).strip()


def _marked(code: re.Match[str]) -> str:
    r"""Return the color before what it colors; nothing for the code that ends it.

    >>> COLOR.sub(_marked, "\x1b[41mS\x1b[0mFF")
    '<red>SFF'
    """
    number = int(code[1] or 0)
    return f"<{COLORS[number % 10]}>" if number % 10 < len(COLORS) and number > 0 else ""
