"""A PostgreSQL server of one's own, for tests and benches: Debian's, in a directory made for it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

INSTALL = "no PostgreSQL on this machine: apt-get install postgresql"
UNPRIVILEGED = ("postgres", "nobody")
"""Who it may run as where we are root, which PostgreSQL refuses to be."""

CARELESS = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "autovacuum=off")
"""Settings for tests: fast, small and the same each time, for no test cuts the power."""

PATIENCE_S = 30
"""How long a server may take to start or stop: it takes less than a second."""


def programs() -> Path | None:
    """Return the directory of the newest installed server, or None."""
    packaged = list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if packaged:
        return max(packaged, key=lambda each: float(each.parts[-3])).parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """One server on a socket, which can be stopped in the middle and started again."""

    def __init__(self, bin: Path, settings: Sequence[str] = ()) -> None:
        self._bin = bin
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 bytes
        if self._user:
            shutil.chown(self._folder, self._user)
        self._settings = [word for each in settings for word in ("-c", each)]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        made = [str(bin / "initdb"), "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*made, "--locale=C", "--no-sync", "--no-instructions"],
            user=self._user, cwd=self._folder, check=True, capture_output=True,
        )  # fmt: skip

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def start(self) -> None:
        command = [str(self._bin / "postgres"), "-D", self._data, "-k", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, "-c", "listen_addresses=", *self._settings],
            user=self._user, cwd=self._folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while self.ask("SELECT 1").returncode:
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL does not start")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT tells clients and ends their transactions, SIGQUIT is sudden."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(timeout=PATIENCE_S)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://tester@/{database}?host={self._folder}"

    def new_database(self, template: str = "template0") -> str:
        """Return the name of a database that nobody has used."""
        name = f"t{next(self._numbers)}"
        done = self.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        if done.returncode:
            raise RuntimeError(done.stderr)
        return name

    def ask(self, statement: str, database: str = "postgres") -> "subprocess.CompletedProcess[str]":
        """Execute a statement outside of any transaction; what it gives is in `stdout`."""
        program = [str(self._bin / "psql"), "-h", str(self._folder), "-U", "tester"]
        return subprocess.run(
            [*program, "-d", database, "-tAc", statement],
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def _unprivileged() -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)
