"""The tools of an MCP server as an environment: tasks and a reward function come from whoever asks.

Each play talks to the server in a session of its own; a server that is started by a command runs
for that play alone, so plays cannot disturb one another.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self, TypeAlias

from mcp.client.stdio import StdioServerParameters
from mcp_types import Tool
from pydantic import ConfigDict, TypeAdapter, ValidationError

from environments.bridges.mcp_session import Server, Session
from environments.catalogue import Catalogue
from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Split, Task
from environments.errors import UserError
from environments.guarded import GuardedPlay
from environments.splits import deal

NAME = "mcp"
SUBMIT = "submit"

INSTRUCTIONS = """{said}Answer with one call of a tool: its name and its arguments as JSON, such as
{example}
When all is done, answer: {submit}, and after it what is asked for, if anything is.

{tools}"""

OPENING = "Your task is to: {goal}"

SECONDS = 60.0
"""What an answer of the server may take."""


class McpError(UserError, ValueError):
    """Tasks, a server or a reward function that make no environment."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that was called, and what it answered."""

    tool: str
    arguments: Mapping[str, Any]
    answer: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a reward function is given."""

    task: Task
    calls: tuple[Call, ...]
    answer: str  # what stood after "submit"
    ask: Callable[..., str]  # calls a tool once more, to look at what was left: ask(name, **args)


Reward: TypeAlias = Callable[[Attempt], float]
"""From an attempt to its worth: 1 and more is solved."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task, as it stands in a file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    goal: str
    id: str = ""  # empty: the goal
    kind: str = "task"
    split: Split | None = None  # None: as its name decides
    gold: tuple[str, ...] = field(default=())  # empty: none is known


class McpTools(Catalogue):
    """Tasks for the tools of a server, as an environment."""

    name = NAME
    waits = True  # for a server to start

    def __init__(
        self,
        connect: Callable[[], Server],
        tasks: Sequence[Entry],
        reward: Reward,
        *,
        seconds: float = SECONDS,
    ) -> None:
        """Ask the server for its tools.

        Args:
            connect: whom the client of a new play is to talk to.
            tasks: what is asked for.
            reward: what an attempt is worth, asked when it says that all is done.
            seconds: what an answer of the server may take.
        """
        self._connect = connect
        self._reward = reward
        self._seconds = seconds
        entries = {entry.id or entry.goal: entry for entry in tasks}
        if len(entries) < len(tasks):
            raise McpError("two tasks have the same id, or the same goal and no id; give them ids")
        self._golds = {id: entry.gold for id, entry in entries.items()}
        dealt = deal(NAME, entries)
        super().__init__(
            Task(
                id=id,
                environment=NAME,
                split=entry.split or dealt[id],
                kind=entry.kind,
                goal=entry.goal,
            )
            for id, entry in entries.items()
        )
        session = Session(connect(), seconds)
        try:
            tools = session.tools()
            self.instructions = _instructions(session.instructions, tools)
        finally:
            session.close()
        self._known = frozenset(tool.name for tool in tools)

    @classmethod
    def from_settings(
        cls,
        games: Path,
        *,
        reward: str,
        command: tuple[str, ...] = (),
        url: str = "",
        variables: dict[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> Self:
        """Return the environment that words describe.

        Args:
            games: a file of tasks, one JSON object a line: goal, and id, kind, split, gold.
            reward: the function that judges, as FILE.py:FUNCTION.
            command: starts the server, word by word; or else:
            url: where it runs (Streamable HTTP).
            variables: further ones of the server's environment.
            seconds: what an answer of the server may take.
        """
        if bool(command) == bool(url):
            raise McpError("an MCP server is started by `command` or found at `url`; set one")

        def connect() -> Server:
            return url or StdioServerParameters(
                command=command[0], args=list(command[1:]), env=variables
            )

        return cls(connect, read_entries(games), load_reward(reward), seconds=seconds)

    def start(self, task: Task) -> "McpPlay":
        return McpPlay(Session(self._connect(), self._seconds), task, self._known, self._reward)

    def gold(self, task: Task) -> tuple[str, ...] | None:
        return self._golds[task.id] or None


class McpPlay(GuardedPlay):
    """One task under way, with its session."""

    waits = True  # for the server

    def __init__(
        self, session: Session, task: Task, known: Collection[str], reward: Reward
    ) -> None:
        self._session = session
        self._task = task
        self._known = known
        self._reward = reward
        self._calls: list[Call] = []
        super().__init__(ongoing(OPENING.format(goal=task.goal)))

    def close(self) -> None:
        super().close()
        self._session.close()

    def _after(self, action: str) -> Observation:
        word, _, rest = action.strip().partition(" ")
        if word == SUBMIT:
            return self._judged(rest.strip())
        return ongoing(self._called(word, rest.strip()))

    def _called(self, tool: str, rest: str) -> str:
        if tool not in self._known:
            return f"There is no tool {tool!r}; there are: {', '.join(sorted(self._known))}."
        arguments = _object(rest)
        if arguments is None:
            return f"The arguments of {tool} have to be one JSON object."
        answer = self._session.call(tool, arguments)
        self._calls.append(Call(tool, arguments, answer.text, answer.failed))
        return answer.text

    def _judged(self, answer: str) -> Observation:
        attempt = Attempt(self._task, tuple(self._calls), answer, self._ask)
        reward = float(self._reward(attempt))
        return solved("That is right.") if reward >= 1 else failed("It is not.", reward=reward)

    def _ask(self, tool: str, **arguments: Any) -> str:  # noqa: ANN401 - what the tool takes
        return self._session.call(tool, arguments).text


def read_entries(path: Path) -> list[Entry]:
    """Return the tasks of a file, one JSON object a line.

    Raises:
        McpError: it cannot be read, or a line is no task.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise McpError(f"cannot read tasks from {str(path)!r}: {error.strerror}") from None
    adapter = TypeAdapter(Entry)
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            entries += [adapter.validate_json(line)] if line.strip() else []
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"])) or "the line"
            raise McpError(f"{path}, line {number}: {where}: {fault['msg'].lower()}") from None
    return entries


def load_reward(name: str) -> Reward:
    """Return the function that FILE.py:FUNCTION names; the file is run.

    Raises:
        McpError: there is none.
    """
    path, _, function = name.rpartition(":")
    spec = spec_from_file_location("reward", path) if path.endswith(".py") else None
    if spec is None or spec.loader is None:
        raise McpError(f"reward is {name!r}; wanted FILE.py:FUNCTION")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return getattr(module, function)
    except (OSError, ImportError, SyntaxError, AttributeError) as error:
        raise McpError(f"no reward function {name!r}: {error}") from None


def _instructions(said: str, tools: Sequence[Tool]) -> str:
    if not tools:
        raise McpError("the MCP server offers no tools; there is nothing to do with it")
    shown = "\n".join(f"{_signature(tool)}: {_first_lines(tool)}".rstrip(": ") for tool in tools)
    given = dict.fromkeys(tools[0].input_schema.get("required", ()), "...")
    example = f"{tools[0].name} {json.dumps(given)}"
    return INSTRUCTIONS.format(
        said=f"{said.strip()}\n\n" if said.strip() else "",
        example=example,
        submit=SUBMIT,
        tools=shown,
    )


def _signature(tool: Tool) -> str:
    """Return a tool with its arguments in short, such as `note {"text": string}`."""
    schema = tool.input_schema
    required = schema.get("required", ())
    parts = (
        f'"{name}": {_type(about)}{"" if name in required else " (optional)"}'
        for name, about in schema.get("properties", {}).items()
    )
    inside = ", ".join(parts)
    return f"{tool.name} {{{inside}}}" if inside else tool.name


def _type(about: Mapping[str, Any]) -> str:
    if "enum" in about:
        return " or ".join(json.dumps(each) for each in about["enum"])
    kind = about.get("type", "anything")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _first_lines(tool: Tool) -> str:
    """Return the first paragraph of what a tool says of itself, on one line."""
    return " ".join((tool.description or "").strip().partition("\n\n")[0].split())


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is; nothing is an empty one."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
