"""A world to begin from: three lights and a pattern. `apprentice env new NAME` copies this file."""

from environments.environment import Observation, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UnknownNameError

PATTERNS = {  # to practise on, to decide by, to report: a task is in one of them only
    Split.TRAIN: ("off-off-on", "off-on-off", "on-on-off", "on-on-on"),
    Split.DEV: ("off-on-on", "on-off-off"),
    Split.TEST: ("on-off-on",),
}
FLIPS = ("flip 1", "flip 2", "flip 3")  # sorted; an empty list would mean that any text is one


class Lights:
    name = "lights"
    instructions = "Three lights are off. Flip them until they are as asked. Answer: flip NUMBER."

    def tasks(self, split: Split) -> tuple[Task, ...]:
        return tuple(self.task(pattern) for pattern in PATTERNS[split])

    def task(self, id: str) -> Task:
        for split, patterns in PATTERNS.items():
            if id in patterns:
                goal = f"make the lights {id}."
                return Task(id=id, environment=self.name, split=split, kind="pattern", goal=goal)
        raise UnknownNameError("task", id, sum(PATTERNS.values(), ()))

    def start(self, task: Task) -> "LightsPlay":
        return LightsPlay(task)

    def gold(self, task: Task) -> tuple[str, ...]:
        return tuple(f for f, light in zip(FLIPS, task.id.split("-"), strict=True) if light == "on")


class LightsPlay:
    def __init__(self, task: Task) -> None:
        self._wanted, self._lights = task.id.split("-"), ["off", "off", "off"]
        self._closed = False
        self.observation = ongoing(f"All are off. Your task: {task.goal}", FLIPS)

    def step(self, action: str) -> Observation:
        if self._closed or self.observation.ending is not None:
            raise RuntimeError("this play is over; start the task again")
        if action in FLIPS:
            place = FLIPS.index(action)
            self._lights[place] = "off" if self._lights[place] == "on" else "on"
        text = f"The lights are {' '.join(self._lights)}."
        over = self._lights == self._wanted
        self.observation = solved(text) if over else ongoing(text, FLIPS)
        return self.observation

    def close(self) -> None:
        self._closed = True
