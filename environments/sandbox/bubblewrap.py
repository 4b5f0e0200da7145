"""The command line that shuts a program in: Debian's bubblewrap, and the limits inside of it.

The program sees /usr read-only, a small temporary directory in memory, its own empty network and
its own processes; no /proc, no /home, no environment variables, nothing writable besides.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.errors import UserError
from environments.sandbox.limits import Limits

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked for, outside and inside: what a user put elsewhere is not shut in."""

NOBODY = "65534"
"""The user inside; and outside too when root asks, for the kernel limits no processes of root."""

UNPRIVILEGED = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
"""How `setpriv` makes root somebody else."""

MERGED = ("bin", "sbin", "lib", "lib32", "lib64")
"""Links to /usr on a merged system, directories of their own on an older one."""

LINKER = ("/etc/ld.so.cache", "/etc/alternatives")
"""All that programs in /usr need of /etc."""

VARIABLES = {
    "PATH": SYSTEM_PATH,
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set is then the same in every run
    "PYTHONDONTWRITEBYTECODE": "1",
}

NICE = "10"
"""Untrusted code waits for everyone else's; 10 is what `nice` takes unless told."""

ORPHANED_S = 5.0
"""How long after its time a run ends whose supervisor was killed before bubblewrap would notice."""

MEGABYTE = 2**20


PACKAGES = {
    "bwrap": "bubblewrap",
    "prlimit": "util-linux",
    "setpriv": "util-linux",
    "timeout": "coreutils",
}
"""Debian's packages, where they are not called as their programs."""


class SandboxError(UserError, OSError):
    """Untrusted code cannot be shut in on this machine, so it is not run."""


def program(name: str) -> str:
    """Return where a program of the system is.

    Raises:
        SandboxError: it is not installed.
    """
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        package = PACKAGES.get(name, name)
        raise SandboxError(
            f"no {name} in {SYSTEM_PATH}, so code is not run; on Debian: apt-get install {package}"
        )
    return found


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen inside, apart from the system."""

    masked: tuple[Path, ...] = ()  # directories that look empty
    links: tuple[str, ...] = ()  # names in / that lead to the same name in /tmp


def command(
    argv: Sequence[str], limits: Limits, sight: Sight, *, filter_fd: int, root: bool
) -> list[str]:
    """Return the command that runs `argv` shut in.

    Args:
        argv: a program of the system and its arguments.
        limits: what it may use.
        sight: what it sees.
        filter_fd: an open file that holds the seccomp filter.
        root: whether the caller is root, who must become somebody else first.
    """
    return [
        # Each ends with the one before it; the first with whoever started it.
        *(program("setpriv"), "--pdeathsig=KILL", *(UNPRIVILEGED if root else ())),
        *(program("timeout"), "--signal=KILL", str(limits.seconds + ORPHANED_S)),
        program("bwrap"),
        *("--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--clearenv", "--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"),
        *_files(limits, sight),
        *(word for name, value in VARIABLES.items() for word in ("--setenv", name, value)),
        *("--seccomp", str(filter_fd), "--"),
        *(program("prlimit"), *_bounds(limits), "nice", "-n", NICE, *argv),
    ]


def _files(limits: Limits, sight: Sight) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in (Path("/") / name for name in MERGED):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for path in LINKER:
        yield from ("--ro-bind-try", path, path)
    for name in sight.links:
        yield from ("--symlink", f"/tmp/{name}", f"/{name}")
    for path in sight.masked:
        if path.is_relative_to("/usr"):  # nothing else can be seen anyway
            yield from ("--tmpfs", str(path), "--remount-ro", str(path))
    # Both are file systems in memory without a bound of their own: closed for writing.
    yield from ("--dev", "/dev", "--remount-ro", "/dev")
    yield from ("--size", str(limits.disk_mb * MEGABYTE), "--perms", "1777", "--tmpfs", "/tmp")
    yield from ("--remount-ro", "/", "--chdir", "/tmp")


def _bounds(limits: Limits) -> Iterator[str]:
    # Set inside the user namespace: there the kernel counts this run's processes and no others.
    yield f"--nproc={limits.processes}"
    yield f"--as={limits.memory_mb * MEGABYTE}"
    yield f"--cpu={limits.cpu_seconds}"
    yield f"--nofile={limits.open_files}"
    yield f"--fsize={limits.disk_mb * MEGABYTE}"
    yield "--core=0"
