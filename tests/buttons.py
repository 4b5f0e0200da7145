"""A wall of buttons, of which the same one is always right: who learned it once solves all."""

from collections.abc import Sequence

from environments.environment import Observation, Play, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UnknownNameError

COLORS = ("amber", "blue", "green", "red", "white")
RIGHT = "press green"
SEEN = "Five buttons are on the wall."
MANY = 14  # tasks of each split


class Buttons:
    name = "buttons"
    instructions = "Press the right button."

    def tasks(self, split: Split) -> Sequence[Task]:
        return tuple(
            Task(
                id=f"buttons/{split}/{number}",
                environment=self.name,
                split=split,
                kind="press",
                goal=f"Open door {number}.",
            )
            for number in range(MANY)
        )

    def task(self, id: str) -> Task:
        known = {task.id: task for split in Split for task in self.tasks(split)}
        if id not in known:
            raise UnknownNameError("task", id, tuple(known))
        return known[id]

    def start(self, task: Task) -> Play:
        return ButtonsPlay(task)

    def gold(self, task: Task) -> tuple[str, ...] | None:
        return (RIGHT,)


class ButtonsPlay:
    def __init__(self, task: Task) -> None:
        self.observation = ongoing(SEEN, [f"press {color}" for color in COLORS])

    def step(self, action: str) -> Observation:
        end = solved("The door opens.") if action == RIGHT else failed("A bell rings.")
        self.observation = end
        return self.observation

    def close(self) -> None: ...
