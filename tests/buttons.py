"""A wall of buttons, of which the same one is always right: who learned it once solves all."""

from environments.catalogue import Catalogue
from environments.environment import Observation, Play, failed, ongoing, solved
from environments.episode import Split, Task

COLORS = ("amber", "blue", "green", "red", "white")
RIGHT = "press green"
SEEN = "Five buttons are on the wall."
MANY = 14  # tasks of each split


class Buttons(Catalogue):
    name = "buttons"
    instructions = "Press the right button."

    def __init__(self) -> None:
        super().__init__(
            Task(
                id=f"buttons/{split}/{number}",
                environment=self.name,
                split=split,
                kind="press",
                goal=f"Open door {number}.",
            )
            for split in Split
            for number in range(MANY)
        )

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
