"""A session with an MCP server (client of `mcp` 2.x), held open by a thread of its own.

The client is asynchronous and has to be left by the task that entered it; a play is neither, so
what it asks is passed to that thread. The session ends when it is closed, or is no longer used.
"""

import asyncio
import threading
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, TextIO, TypeAlias, TypeVar

from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CONNECTION_CLOSED, Tool

from environments.errors import UserError

Server: TypeAlias = Any
"""What the client takes: the address of a server, a command that starts one, or a server that runs
in this process."""

T = TypeVar("T")

CLOSING_S = 15.0
"""How long a server may take to end; the client itself kills one that does not, before that."""


LOST = (MCPError, OSError, RuntimeError, CancelledError)
"""What asking raises when the server is gone: its own word, a broken pipe, our loop that ended."""


class ServerError(UserError, ConnectionError):
    """A server cannot be talked to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answered."""

    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class _Open:
    client: Client
    loop: asyncio.AbstractEventLoop
    enough: asyncio.Event


class Session:
    """One session. For one thread at a time."""

    def __init__(self, server: Server, seconds: float) -> None:
        """Begin a session.

        Args:
            server: whom to talk to; a command starts a server for this session alone.
            seconds: that any answer may take.

        Raises:
            ServerError: it cannot be talked to.
        """
        self._name = _name(server)
        self._log = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until it is closed
        opened: Future[_Open] = Future()
        thread = threading.Thread(
            target=_hold, args=(server, seconds, self._log, opened), daemon=True
        )
        thread.start()
        try:
            self._open = opened.result()
        except Exception as error:  # noqa: BLE001 - whatever `_hold` met
            with self._log:
                raise self._dead(error) from None
        self.close = weakref.finalize(self, _end, self._open, thread, self._log)

    @property
    def instructions(self) -> str:
        """Return what the server says of itself."""
        return self._open.client.instructions or ""

    def tools(self) -> Sequence[Tool]:
        """Return the tools, all pages of them."""
        return self._asked(_tools(self._open.client))

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Call a tool; what goes wrong in it is an answer too.

        Raises:
            ServerError: the server is gone.
        """
        return self._asked(_call(self._open.client, tool, dict(arguments)))

    def _asked(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._open.loop).result()
        except LOST as error:
            coroutine.close()
            raise self._dead(error) from None

    def _dead(self, error: BaseException) -> ServerError:
        self._log.seek(0)
        said = self._log.read().strip().splitlines()[-1:] or [str(_first(error)).strip()]
        return ServerError(
            f"the MCP server {self._name} does not answer ({said[0]}); start it, or mend it"
        )


def _hold(server: Server, seconds: float, log: TextIO, opened: "Future[_Open]") -> None:
    """Hold a session open until enough was asked; whoever waits is told why if it does not open."""

    async def hold() -> None:
        transport = stdio_client(server, log) if _is_command(server) else server
        async with Client(transport, read_timeout_seconds=seconds) as client:
            enough = asyncio.Event()
            opened.set_result(_Open(client, asyncio.get_running_loop(), enough))
            await enough.wait()

    try:
        asyncio.run(hold())
    except Exception as error:  # noqa: BLE001 - every way in which a server may be out of order
        if not opened.done():
            opened.set_exception(error)


def _end(session: _Open, thread: threading.Thread, log: TextIO) -> None:
    with suppress(RuntimeError):  # the loop ended by itself, with its server
        session.loop.call_soon_threadsafe(session.enough.set)
    if thread is not threading.current_thread():
        thread.join(CLOSING_S)
    log.close()


async def _tools(client: Client) -> list[Tool]:
    page = await client.list_tools()
    found = list(page.tools)
    while page.next_cursor:
        page = await client.list_tools(cursor=page.next_cursor)
        found.extend(page.tools)
    return found


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> Answer:
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        if error.code == CONNECTION_CLOSED:
            raise
        return Answer(error.message, failed=True)
    texts = (getattr(each, "text", f"[{each.type}]") for each in result.content)
    return Answer("\n".join(texts).strip(), bool(result.is_error))


def _is_command(server: Server) -> bool:
    return isinstance(server, StdioServerParameters)


def _name(server: Server) -> str:
    if isinstance(server, StdioServerParameters):
        return repr(" ".join([server.command, *server.args]))
    return repr(server) if isinstance(server, str) else repr(getattr(server, "name", "in here"))


def _first(error: BaseException) -> BaseException:
    """Return what went wrong first, within groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
