"""Untrusted code runs here or not at all.

There is no weaker way to fall back on: a machine that cannot shut code in says so in one line.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from subprocess import PIPE, Popen

from environments.sandbox.bubblewrap import SandboxError, Sight, command, program
from environments.sandbox.limits import Limits
from environments.sandbox.seccomp import seccomp_filter
from environments.sandbox.supervise import Outcome, Verdict, supervise

TRIAL = Limits(seconds=60.0)
"""Generous with time: a busy machine is not a machine without a sandbox."""

ADVICE = (
    "allow unprivileged user namespaces (Debian: sysctl kernel.unprivileged_userns_clone=1, "
    "Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
    "Docker: --security-opt seccomp=unconfined)"
)


class Sandbox:
    """Runs programs of the system shut in. Shared between threads; each run is a jail of its own.

    Raises:
        SandboxError: this machine cannot do it.
    """

    def __init__(
        self, limits: Limits, *, masked: Sequence[Path] = (), links: Sequence[str] = ()
    ) -> None:
        try_out()
        self._limits = limits
        self._sight = Sight(tuple(masked), tuple(links))

    def python(self, source: str, given: bytes = b"") -> Outcome:
        """Run a Python program with the system's interpreter; `given` is its standard input."""
        return self.run((program("python3"), "-I", "-S", "-c", source), given)

    def run(self, argv: Sequence[str], given: bytes = b"") -> Outcome:
        """Run a program to its end, or to that of its limits; `given` is its standard input."""
        return _run(argv, given, self._limits, self._sight)


@lru_cache(maxsize=1)
def try_out() -> None:
    """Shut a program in that does nothing; once it worked, it is not asked again.

    Raises:
        SandboxError: it cannot be done; the message says what to do.
    """
    program("bwrap")  # first: elsewhere than on Linux the rest does not even exist
    outcome = _run((program("python3"), "-I", "-S", "-c", ""), b"", TRIAL, Sight())
    if outcome.verdict is not Verdict.FINISHED or outcome.code != 0:
        said = outcome.errors.decode(errors="replace").strip().rpartition("\n")[2]
        why = said or f"verdict {outcome.verdict}, code {outcome.code}"
        raise SandboxError(f"bubblewrap cannot shut code in here ({why}); {ADVICE}")


def _run(argv: Sequence[str], given: bytes, limits: Limits, sight: Sight) -> Outcome:
    with _file("filter", seccomp_filter()) as filter_fd, _file("given", given) as given_fd:
        line = command(argv, limits, sight, filter_fd=filter_fd, root=os.geteuid() == 0)
        with Popen(
            line,
            stdin=given_fd,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=(filter_fd,),
            env={},
            cwd="/",  # the caller's own may be closed to an unprivileged user
        ) as process:
            try:
                return supervise(process, limits)
            finally:
                process.kill()  # in vain unless something interrupted us


@contextmanager
def _file(name: str, content: bytes) -> Generator[int]:
    """Yield an open file in memory, to be read from its beginning."""
    fd = os.memfd_create(name)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
