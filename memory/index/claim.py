"""Who owns the embedded index: one process at a time, known by name.

Two processes that write one embedded Chroma lose vectors without an error. The lock is the
operating system's, so it is freed however its owner dies.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

LOCK = "lock"
OWNER = "owner.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process, as others can find it."""

    pid: int
    host: str
    since: datetime


class Claim:
    """A folder that nobody else may write while this lives. Not inherited by a forked child."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self._folder = folder
        self._lock = lock

    @classmethod
    def stake(cls, folder: Path, owner: Owner) -> Self | None:
        """Claim a folder, made if need be; None: it is taken, `owner_of` says by whom."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        written = folder / f"{OWNER}.{owner.pid}"
        written.write_text(json.dumps(asdict(owner), default=datetime.isoformat), encoding="utf-8")
        written.replace(folder / OWNER)
        return cls(folder, lock)

    def release(self) -> None:
        """Give the folder up; may be called twice."""
        if self._lock.is_locked:
            (self._folder / OWNER).unlink(missing_ok=True)
            self._lock.release()


def owner_of(folder: Path) -> Owner | None:
    """Return who owns a folder, or None if nobody does. What a killed owner wrote is no claim."""
    if not (folder / LOCK).exists():
        return None
    lock = _lock(folder)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _written(folder)
    lock.release()
    return None


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, thread_local=False)


def _written(folder: Path) -> Owner | None:
    """Return what the owner wrote of itself, or None in the moment before it has."""
    with suppress(FileNotFoundError, ValueError, KeyError):
        told = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        since = datetime.fromisoformat(told["since"])
        return Owner(pid=told["pid"], host=told["host"], since=since)
    return None
