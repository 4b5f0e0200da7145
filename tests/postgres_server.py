"""A real PostgreSQL for tests: Debian's, in a directory of its own, on a socket of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from sqlalchemy import NullPool, create_engine, inspect

INSTALL = "no PostgreSQL on this machine: apt-get install postgresql"
UNPRIVILEGED = ("postgres", "nobody")
"""Who it may run as where these tests run as root, which PostgreSQL refuses to."""

STARTS_WITHIN_S = 30


def programs() -> Path | None:
    """Return the directory of the newest installed server, or None."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = max(packaged, key=lambda each: float(each.parts[-3]), default=None)
    on_path = shutil.which("postgres")
    return found.parent if found else on_path and Path(os.path.realpath(on_path)).parent


class PostgresServer:
    """One server, which can be stopped in the middle and started again."""

    def __init__(self, bin: Path) -> None:
        self._bin = bin
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 bytes
        if self._user:
            shutil.chown(self.folder, self._user)
        self._process = None
        self._numbers = count(1)
        self._run("initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        unsafe = ("fsync=off", "full_page_writes=off")  # and fast: no test cuts the power
        small = ("listen_addresses=", "shared_buffers=16MB", "autovacuum=off")
        settings = [word for each in (*unsafe, *small) for word in ("-c", each)]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, "-k", self.folder, *settings],
            user=self._user, cwd=self.folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self._ask("SELECT 1").returncode:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT tells clients and ends their transactions, SIGQUIT is sudden."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://tester@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """Return the URL of a database that nobody has used."""
        name = f"t{next(self._numbers)}"
        done = self._ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        assert done.returncode == 0, done.stderr
        return self.url(name)

    def empty(self, url: str) -> None:
        """Remove every row of a database, but for the number of its migration."""
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            names = set(inspect(connection).get_table_names()) - {"alembic_version"}
            tables = ", ".join(sorted(names))
            connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY")
        engine.dispose()

    def _ask(self, statement: str) -> "subprocess.CompletedProcess[str]":
        asked = ["psql", "-h", str(self.folder), "-U", "tester", "-d", "postgres", "-tAc"]
        return subprocess.run(
            [self._bin / asked[0], *asked[1:], statement], capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], user=self._user, cwd=self.folder, check=True,
            capture_output=True,
        )  # fmt: skip


def _unprivileged() -> str:
    known = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)
