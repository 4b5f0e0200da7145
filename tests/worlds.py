"""A workshop small enough to reason about by hand, and worlds that misbehave."""

from copy import copy
from dataclasses import replace

from environments.catalogue import Catalogue
from environments.environment import Observation, Play, failed, ongoing, solved
from environments.episode import Split, Task
from environments.guarded import GuardedPlay

ROOMS = ("attic", "cellar", "garden", "hall")
TOOLS = ("chisel", "plane", "saw")
TRAP = "attic"
"""Whoever reaches for a tool here falls through the floor, and the task is lost."""


class Workshop(Catalogue):
    """Go to the right room and take the tool. Two actions solve it; the attic loses it."""

    name = "workshop"
    instructions = "You are in a workshop with four rooms. Fetch the tool you are asked for."

    def __init__(self) -> None:
        super().__init__(
            Task(
                id=f"workshop/{split}/{tool}-{room}",
                environment=self.name,
                split=split,
                kind="fetch",
                goal=f"Fetch the {tool}.",
            )
            for split in Split
            for tool in TOOLS
            for room in ROOMS
            if room != TRAP
        )

    def start(self, task: Task) -> Play:
        return WorkshopPlay(task)

    def gold(self, task: Task) -> tuple[str, ...] | None:
        tool, room = task.id.rpartition("/")[2].split("-")
        return (f"go to {room}", f"take {tool}")


class WorkshopPlay(GuardedPlay):
    def __init__(self, task: Task) -> None:
        self._tool, self._home = task.id.rpartition("/")[2].split("-")
        self._room = "door"
        super().__init__(self._look(f"You stand at the door. {task.goal}"))

    def _after(self, action: str) -> Observation:
        if action not in self._observation.admissible:
            return self._look("Nothing happens.")
        if action.startswith("go to "):
            self._room = action.removeprefix("go to ")
            return self._look(f"You are in the {self._room}.")
        if action == "look around":
            return self._look(f"You look around the {self._room}.")
        if self._room == TRAP:
            return failed("The floor gives way.")
        if self._room == self._home and action == f"take {self._tool}":
            return solved(f"You hold the {self._tool}.")
        return self._look("It is not here.")

    def _look(self, text: str) -> Observation:
        goings = [f"go to {room}" for room in ROOMS if room != self._room]
        takings = [f"take {tool}" for tool in TOOLS] if self._room != "door" else []
        return ongoing(text, sorted([*goings, *takings, "look around"]))


class Copied(Workshop):
    """A workshop whose plays can be copied, so that a search looks ahead in them."""

    name = "copied"

    def start(self, task: Task) -> Play:
        return CopiedPlay(task)


class CopiedPlay(WorkshopPlay):
    def fork(self) -> "CopiedPlay":
        return copy(self)  # strings and frozen values


class Crashing(Workshop):
    """A workshop whose floor gives way in our code, when the garden is entered."""

    def start(self, task: Task) -> Play:
        return CrashingPlay(task)


class CrashingPlay(WorkshopPlay):
    def _after(self, action: str) -> Observation:
        if action == "go to garden":
            raise ZeroDivisionError("the garden has no area")
        return super()._after(action)


class Renovated(Workshop):
    """A workshop that describes its rooms in other words than yesterday."""

    def start(self, task: Task) -> Play:
        return RenovatedPlay(task)


class RenovatedPlay(WorkshopPlay):
    def _after(self, action: str) -> Observation:
        shown = super()._after(action)
        return replace(shown, text=shown.text.replace("You are in", "This is"))
