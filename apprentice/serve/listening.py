"""One port opened for one application: where it listens, who may come, and how that is said."""

from __future__ import annotations

import hmac
import secrets
import socket
from typing import TYPE_CHECKING

from rich.text import Text
from starlette.responses import JSONResponse

from apprentice.terminal.terminal import out, say_json
from environments.errors import UserError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn import Server

    from apprentice.settings.config import Config

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine for itself: a page elsewhere that renames its own address to ours in the
middle (DNS rebinding) still calls us by its own name."""

TOKEN_BYTES = 24

WAITING = 512
"""Connections that may wait to be taken up: more than are ever asked for at once."""


KEPT_S = 75
"""Seconds that an idle connection is kept open. At uvicorn's 5, a busy client now and then sends
into one that is being closed, and its request is lost."""


class PortError(UserError, OSError):
    """An address that cannot be listened on."""


def secret(config: Config, *, always: bool = False) -> str:
    """Return the token that visitors must show; empty: none, on this machine and for reading.

    The one in the settings, or a new one where one is needed.
    """
    chosen = config.windows.token.get_secret_value()
    if chosen or not (always or config.windows.host not in LOOPBACK):
        return chosen
    return secrets.token_urlsafe(TOKEN_BYTES)


def listen(app: ASGIApp, config: Config, port: int, path: str, *, as_json: bool) -> None:
    """Serve until interrupted; say where as soon as the port is taken.

    Raises:
        PortError: the port is not to be had.
    """
    host = config.windows.host
    server = server_of(app)  # before it is said where: the first visitor does not wait for it
    with taken(host, port) as bound:
        name = f"[{host}]" if ":" in host else host
        where = f"http://{name}:{bound.getsockname()[1]}{path}"
        if as_json:
            say_json({"url": where})
        else:
            out().print(Text(f"{where}   (Ctrl-C ends it)"), soft_wrap=True)
        server.run(sockets=[bound])


def server_of(app: ASGIApp) -> Server:
    """Return a server, not yet running, that keeps idle connections as long as clients do."""
    import uvicorn

    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_keep_alive=KEPT_S,
    )
    return uvicorn.Server(settings)


def taken(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        PortError: the port is not to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(WAITING)
    except OSError as error:
        bound.close()
        why = error.strerror or str(error)
        raise PortError(f"cannot listen on {host}:{port}: {why}; choose another --port") from None
    return bound


def behind_token(app: ASGIApp, token: str) -> ASGIApp:
    """Return the application as only those reach it who send the token; empty: everyone."""
    if not token:
        return app
    wanted = f"Bearer {token}".encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "http" and not hmac.compare_digest(sent, wanted):
            refused = {"error": {"message": "a token is needed", "type": "authentication_error"}}
            await JSONResponse(refused, 401)(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded
