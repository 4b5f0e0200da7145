"""An environment of an OpenEnv server (protocol of `openenv` 0.10) as ours: seeds are the tasks.

Its client cannot be installed beside us, for it needs another generation of `mcp`; but what it says
to a server is a few JSON messages over a WebSocket, one session for each play.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.error import URLError
from urllib.request import urlopen

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from environments.environment import Observation, failed, ongoing, solved
from environments.episode import Task
from environments.errors import UserError
from environments.guarded import GuardedPlay
from environments.seeded import Opening, SeededCatalogue, seed_of

NAME = "openenv"

INSTRUCTIONS = "You act in {name}: {description}\nAnswer with one action, {form}."
OPENING = "{text}\n\nYour task is to: {goal}"

REFUSED = frozenset({"INVALID_JSON", "VALIDATION_ERROR", "EXECUTION_ERROR"})
"""Errors that an action makes; all others are the server's."""

OPEN_S = 10.0
"""How long a server may take to open a session."""

LARGEST = 100 * 2**20  # bytes of a message: OpenEnv's own limit

Plain: TypeAlias = dict[str, Any]


class OpenEnvError(UserError, ConnectionError):
    """A server that cannot be talked to, or does not act in words."""


class FromOpenEnv(SeededCatalogue):
    """Seeds of the environment of a server, as an environment."""

    name = NAME
    waits = True  # for a session to open

    def __init__(
        self,
        *,
        url: str,
        goal: str = "reach the end with a reward",
        listed: str = "",
        reset: Mapping[str, Any] | None = None,
        counts: tuple[int, int, int] = (60, 20, 20),
        seconds: float = 60.0,
    ) -> None:
        """Look at the first observations and list the tasks.

        Args:
            url: where the server is, such as http://127.0.0.1:8000.
            goal: what to do, in words.
            listed: the field of what is seen that lists the actions; none: any text is one.
            reset: what it is reset with, beside the seed.
            counts: tasks to practise on, to decide by and to report.
            seconds: what an answer of the server may take.
        """
        super().__init__()
        self._server = Server(url, reset or {}, seconds)
        self._listed = listed
        about = self._server.read("metadata")
        self._form = Form(self._server.read("schema").get("action", {}))
        self.instructions = INSTRUCTIONS.format(
            name=about.get("name", url), description=about.get("description", ""), form=self._form
        )
        with self._server.session() as session:
            self._add_kind(
                NAME, counts, lambda seed: Opening(told(session.reset(seed)["observation"]), goal)
            )

    def start(self, task: Task) -> "OpenEnvPlay":
        return OpenEnvPlay(self._server.session(), self._form, self._listed, task)

    def gold(self, task: Task) -> None:
        return None


class OpenEnvPlay(GuardedPlay):
    """One seed in play."""

    waits = True  # for the server

    def __init__(self, session: "Session", form: "Form", listed: str, task: Task) -> None:
        self._session = session
        self._form = form
        self._listed = listed
        seen = session.reset(seed_of(task))["observation"]
        text = OPENING.format(text=told(seen), goal=task.goal)
        super().__init__(ongoing(text, self._actions(seen)))

    def close(self) -> None:
        super().close()
        self._session.close()

    def _after(self, action: str) -> Observation:
        admissible = self._observation.admissible
        if admissible and action.strip() not in admissible:
            return ongoing("That is not one of the actions.", admissible)
        try:
            return self._shown(self._session.step(self._form.read(action.strip())))
        except RefusedError as error:
            return ongoing(str(error), admissible)

    def _shown(self, result: Plain) -> Observation:
        seen, reward = result["observation"], float(result.get("reward") or 0.0)
        if not result.get("done"):
            return ongoing(told(seen), self._actions(seen), reward=reward)
        over = solved if reward > 0 else failed
        return over(told(seen), reward=reward)

    def _actions(self, seen: Plain) -> Sequence[str]:
        return sorted({str(each) for each in seen.get(self._listed, ())})


class RefusedError(Exception):
    """An action that means nothing to the environment; the text is for whoever acted."""


class Form:
    """How an action is written: the one field that it has, or a JSON object."""

    def __init__(self, schema: Plain) -> None:
        fields: dict[str, Plain] = {
            name: about
            for name, about in schema.get("properties", {}).items()
            if name != "metadata"  # every action has it, and none needs it
        }
        self._types = {name: str(about.get("type", "any")) for name, about in fields.items()}

    def __str__(self) -> str:
        if len(self._types) == 1:
            (kind,) = self._types.values()
            return "a whole number" if kind == "integer" else "in plain words"
        fields = ", ".join(f'"{name}" ({kind})' for name, kind in self._types.items())
        return f"a JSON object with {fields}"

    def read(self, action: str) -> Plain:
        """Return an action as the server takes it.

        Raises:
            RefusedError: it cannot be read.
        """
        if len(self._types) == 1:
            ((name, kind),) = self._types.items()
            return {name: action if kind == "string" else _json(action)}
        found = _json(action)
        if not isinstance(found, dict):
            raise RefusedError(f"Write {self}.")
        return found


class Server:
    """Where an environment is served."""

    def __init__(self, url: str, reset: Mapping[str, Any], seconds: float) -> None:
        self.url = url.rstrip("/")
        self.reset = reset
        self.seconds = seconds

    def read(self, page: str) -> Plain:
        """Return what the server says of itself, on one of its pages.

        Raises:
            OpenEnvError: it says nothing.
        """
        try:
            with urlopen(f"{self.url}/{page}", timeout=self.seconds) as answer:
                return json.load(answer)
        except (URLError, OSError, ValueError) as error:
            raise self.dead(error) from None

    def session(self) -> "Session":
        """Begin a session.

        Raises:
            OpenEnvError: the server does not let one in.
        """
        return Session(self)

    def dead(self, error: object) -> OpenEnvError:
        reason = str(error.reason if isinstance(error, URLError) else error)
        return OpenEnvError(f"no OpenEnv environment at {self.url!r} ({reason}); start or mend it")


class Session:
    """A conversation about one episode at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        address = server.url.replace("http", "ws", 1)
        self._end = ExitStack()
        try:
            self._socket = self._end.enter_context(
                connect(f"{address}/ws", open_timeout=OPEN_S, max_size=LARGEST)
            )
        except (OSError, ValueError, WebSocketException) as error:
            raise server.dead(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def reset(self, seed: int) -> Plain:
        """Begin an episode; return what is seen."""
        return self._asked("reset", {"seed": seed, **self._server.reset})

    def step(self, action: Plain) -> Plain:
        """Act; return what comes of it.

        Raises:
            RefusedError: the action means nothing to the environment.
        """
        return self._asked("step", action)

    def close(self) -> None:
        """End the session; may be called twice."""
        self._end.close()

    def _asked(self, what: str, data: Plain) -> Plain:
        try:
            with suppress(ConnectionClosed):  # a server that is full says so before it closes
                self._socket.send(json.dumps({"type": what, "data": data}))
            answer = json.loads(self._socket.recv(timeout=self._server.seconds))
        except (OSError, ValueError, WebSocketException) as error:
            raise self._server.dead(error) from None
        if answer["type"] != "error":
            return answer["data"]
        message, code = answer["data"].get("message", ""), answer["data"].get("code", "")
        if what == "step" and code in REFUSED:
            raise RefusedError(message)
        raise self._server.dead(f"{code}: {message}")


def told(seen: Plain) -> str:
    """Return what is seen as text: its one field, or a line for each.

    >>> told({"echo": "hello", "metadata": {}})
    'hello'
    >>> told({"board": "x.o", "legal": [1], "metadata": {}}).splitlines()
    ['board: x.o', 'legal: [1]']
    """
    fields = {name: value for name, value in seen.items() if name != "metadata"}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in fields.items()
    }
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n".join(f"{name}: {text}" for name, text in texts.items())


def _json(text: str) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        return json.loads(text)
    except ValueError:
        raise RefusedError(f"{text!r} is not what is asked for.") from None
