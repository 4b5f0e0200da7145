"""A real chat endpoint on loopback that answers, and misbehaves, as it is told."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any

from loopback import Quiet, running

Behavior = Callable[["Handler"], None]


def says(text: str | None, **choice: Any) -> Behavior:
    """Answer with this text, and two tokens for ten."""
    return sends(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "small",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                    **choice,
                }
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        }
    )


def sends(body: object) -> Behavior:
    return lambda handler: handler.reply(200, json.dumps(body).encode())


def sends_raw(body: bytes, kind: str = "application/json") -> Behavior:
    return lambda handler: handler.reply(200, body, {"Content-Type": kind})


def refuses(status: int, message: str, **headers: str) -> Behavior:
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(status, body, named)


def breaks_off(handler: "Handler") -> None:
    """Promise 1000 bytes, send a few and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    handler.close_connection = True


def hangs(handler: "Handler") -> None:
    """Say nothing until the test is over."""
    handler.server.over.wait()
    handler.close_connection = True


class Loopback(ThreadingHTTPServer):
    """Behaves in the order of its behaviors, and then on and on as the last of them."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, behaviors: Sequence[Behavior]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.over = Event()
        self._behaviors = list(behaviors)
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def shutdown(self) -> None:
        self.over.set()
        super().shutdown()

    def next_behavior(self, request: dict[str, Any]) -> Behavior:
        with self._lock:
            self.requests.append(request)
            return self._behaviors[min(len(self.requests), len(self._behaviors)) - 1]


class Handler(Quiet, BaseHTTPRequestHandler):
    server: Loopback

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.next_behavior(request)(self)

    def do_GET(self) -> None:
        self.server.next_behavior({"path": self.path})(self)


@contextmanager
def serving(*behaviors: Behavior) -> Iterator[Loopback]:
    with running(Loopback(behaviors)) as server:
        yield server
