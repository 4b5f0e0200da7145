"""Tasks in Harbor's layout as an environment: commands in a terminal, then the tests decide.

Every command runs in a sandbox of its own; the directory that one works in goes from one to the
next as a value. So a play forks for nothing, and nothing outlives it.
"""

import json
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Task
from environments.guarded import GuardedPlay
from environments.harbor.folder import HarborTask, read_tasks
from environments.harbor.keeper import WIDTH
from environments.sandbox.limits import Limits
from environments.sandbox.sandbox import Sandbox
from environments.sandbox.supervise import Verdict
from environments.splits import deal

NAME = "harbor"
SUBMIT = "submit"
TEST = "bash /tests/test.sh"

INSTRUCTIONS = (
    "You work in a terminal, in /app. Answer with one bash command, whose output you read next. "
    f"When all is done, answer: {SUBMIT}."
)

OPENING = "{instruction}\n\nYour task is to: {goal}"
LINKS = ("app", "tests", "logs")  # Harbor's directories, all of them in the temporary one

START_S = 20.0
"""What the sandbox, its interpreter and packing may take beside, on a busy machine."""

LONGEST = 2000  # characters of output that are shown: its end, where errors are
ROOM_MB = 16  # of the directory that one works in
MEGABYTE = 2**20

STOPPED = {
    Verdict.FINISHED: "it left nothing that could be kept",
    Verdict.KILLED: "it stopped the terminal",
    Verdict.TIME: "it took too long",
    Verdict.MEMORY: "it took too much memory",
    Verdict.OUTPUT: "it left too much to be kept",
}
"""Why a command had no effect."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a command."""

    code: int | None  # None: it was stopped after its time
    said: str
    reward: str
    files: bytes  # all that is kept for the next one


class Terminal:
    """Runs commands, each in a sandbox of its own. Shared between threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        limits = Limits(
            seconds=seconds + START_S,
            cpu_seconds=int(seconds) + 1,
            disk_mb=2 * ROOM_MB,
            output_bytes=ROOM_MB * MEGABYTE,
        )
        self._sandbox = Sandbox(limits, links=LINKS)

    def run(self, command: str, files: bytes, **folders: bytes) -> Ran | str:
        """Return what became of a command, or why it had no effect.

        Args:
            command: what bash is given.
            files: what the last one left.
            folders: further ones to unpack, by name; nothing is kept then.
        """
        order = {
            "command": command,
            "seconds": self._seconds,
            "longest": LONGEST,
            "folders": list(folders),
        }
        parts = [json.dumps(order).encode(), files, *folders.values()]
        given = b"".join(b"%0*d%s" % (WIDTH, len(each), each) for each in parts)
        outcome = self._sandbox.python(_keeper(), given)
        about, _, kept = outcome.output.partition(b"\n")
        if outcome.verdict is not Verdict.FINISHED or outcome.code != 0:
            return STOPPED[outcome.verdict]
        return Ran(**json.loads(about), files=kept)


class Harbor(Catalogue):
    """A folder of tasks, as an environment."""

    name = NAME
    instructions = INSTRUCTIONS

    def __init__(self, games: Path, *, seconds: float = 30.0) -> None:
        """Read the tasks.

        Args:
            games: a folder of tasks.
            seconds: what a command may take, and all tests of a task.
        """
        self._terminal = Terminal(seconds)
        self._found = {task.id: task for task in read_tasks(games)}
        splits = deal(NAME, tuple(self._found))
        super().__init__(
            Task(id=id, environment=NAME, split=splits[id], kind=each.kind, goal=each.goal)
            for id, each in self._found.items()
        )

    def start(self, task: Task) -> "HarborPlay":
        return HarborPlay(self._terminal, self._found[task.id])

    def gold(self, task: Task) -> tuple[str, ...] | None:
        solution = self._found[task.id].solution
        return None if solution is None else (solution, SUBMIT)


class HarborPlay(GuardedPlay):
    """One task under way."""

    waits = True  # for commands to run

    def __init__(self, terminal: Terminal, task: HarborTask) -> None:
        self._terminal = terminal
        self._task = task
        self._files = task.files
        super().__init__(ongoing(OPENING.format(instruction=task.instruction, goal=task.goal)))

    def fork(self) -> "HarborPlay":
        """Return a play that goes on from here by itself."""
        return copy(self)

    def _after(self, action: str) -> Observation:
        return self._judged() if action.strip() == SUBMIT else self._ran(action)

    def _ran(self, command: str) -> Observation:
        ran = self._terminal.run(command, self._files)
        if isinstance(ran, str):
            return ongoing(f"The command had no effect: {ran}.")
        self._files = ran.files
        ended = "stopped: it took too long" if ran.code is None else f"exit code {ran.code}"
        return ongoing(f"{ran.said.rstrip()}\n[{ended}]".lstrip("\n"))

    def _judged(self) -> Observation:
        ran = self._terminal.run(TEST, self._files, tests=self._task.tests)
        reward = 0.0 if isinstance(ran, str) else reward_in(ran.reward)
        return solved("The tests pass.") if reward >= 1 else failed("The tests do not pass.")


def reward_in(text: str) -> float:
    """Return the reward that tests wrote down: a number, or an object whose values all count.

    >>> reward_in("1"), reward_in('{"reward": 0.5}'), reward_in("")
    (1.0, 0.5, 0.0)
    """
    try:
        found = json.loads(text)
        return min(map(float, found.values())) if isinstance(found, dict) else float(found)
    except (ValueError, TypeError):
        return 0.0


@cache
def _keeper() -> str:
    return Path(__file__).with_name("keeper.py").read_text(encoding="utf-8")
