"""Runs inside the sandbox: one command in a directory that is unpacked before and packed after.

Given as source to an interpreter there, so it imports nothing of ours. What a command leaves
running is stopped, so that the directory is all that goes on to the next one.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile

WIDTH = 12  # digits before each part of what is given: its length
HOME = "/tmp"
FOLDERS = ("app", "logs/verifier")  # Harbor's: where one works, where the tests leave the reward
PLANTED = ("tests", "logs")
REWARDS = ("reward.txt", "reward.json")


def main() -> None:
    order = json.loads(part())
    unpack(part(), HOME)
    if order["folders"]:  # the tests come: what was planted in their places goes
        subprocess.run(["rm", "-rf", "--", *(f"{HOME}/{name}" for name in PLANTED)], check=True)
    for folder in FOLDERS:
        os.makedirs(f"{HOME}/{folder}", exist_ok=True)  # noqa: PTH103 - pathlib takes its time
    for folder in order["folders"]:
        os.makedirs(f"{HOME}/{folder}", exist_ok=True)  # noqa: PTH103
        unpack(part(), f"{HOME}/{folder}")
    code, said = run(order["command"], order["seconds"], order["longest"])
    packed = b"" if order["folders"] else pack()
    about = {"code": code, "said": said.decode(errors="replace"), "reward": reward()}
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + packed)


def part() -> bytes:
    """Return the next part of what is given."""
    size = int(os.read(0, WIDTH))
    content = b""
    while len(content) < size:
        content += os.read(0, size - len(content))
    return content


def unpack(content: bytes, folder: str) -> None:
    if content:
        subprocess.run(["tar", "-xf", "-", "-C", folder], input=content, check=True)


def pack() -> bytes:
    command = ["tar", "-cf", "-", "--sort=name", "-C", HOME, "."]
    return subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout


def run(command: str, seconds: float, longest: int) -> tuple[int | None, bytes]:
    """Return the exit code (None: too late) and the end of what was said; stop all it began."""
    with tempfile.TemporaryFile() as said:  # a pipe would be held open by what runs on
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd="/app",
            env={**os.environ, "PWD": "/app", "PYTHONNOUSERSITE": "1"},  # noqa: TID251 - the sandbox's own
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # everyone in this sandbox but this process
        said.seek(-min(longest, said.seek(0, os.SEEK_END)), os.SEEK_END)
        return code, said.read()


def reward() -> str:
    """Return what the tests said in Harbor's way, empty where they did not."""
    for name in REWARDS:
        try:
            with open(f"{HOME}/logs/verifier/{name}") as file:  # noqa: PTH123
                return file.read(1000)
        except OSError:
            continue
    return ""


if __name__ == "__main__":
    main()
