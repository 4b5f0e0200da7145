"""Real Chroma servers for tests, and a proxy that lets in who shows a token."""

import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ChromaServer:
    """A real one, which can be stopped in the middle and started again."""

    def __init__(self, folder):
        self.port, self._folder, self._process = free_port(), folder, None

    def start(self):
        chroma = Path(sys.executable).parent / "chroma"
        arguments = [chroma, "run", "--path", self._folder, "--port", str(self.port)]
        self._process = subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)

    def kill(self):
        self._process.kill()
        self._process.wait(timeout=30)


class Guard(BaseHTTPRequestHandler):
    """What a proxy before a Chroma server does: it lets in who shows the token."""

    def do_GET(self):
        if self.headers.get("Authorization") != "Bearer open sesame":
            self._answer(401, b"401 Authorization Required")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with httpx.Client(timeout=60) as behind:
            kept = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            url = f"http://127.0.0.1:{self.server.behind}{self.path}"
            answer = behind.request(self.command, url, content=body, headers=kept)
        self._answer(answer.status_code, answer.content)

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""
