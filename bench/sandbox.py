"""Does the sandbox hold, and how many checks does it make a second?

The attacks run one after the other against a host that has something to lose; a check is a small
program with an assertion, as the code world makes them, as many at once as there are cores.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, process_time

from bench.attacks import ATTACKS, ESCAPED, PRELUDE, STOPPED, Attack
from bench.figures import Figure, flags, report
from environments.sandbox.limits import Limits
from environments.sandbox.sandbox import Sandbox
from environments.sandbox.supervise import PROC, Outcome

SHORT = Limits(seconds=2.0, cpu_seconds=2)
"""For attacks that last until they are stopped."""

PATIENT = Limits(seconds=30.0, cpu_seconds=5)
"""For attacks that end by themselves or by another limit, even on a busy machine."""

SLACK_S = 10.0
"""What starting and sweeping up may take beside, on a busy machine."""

VARIABLE = "SANDBOX_SECRET"

CHECK = """
def below(numbers, bound):
    return [number for number in numbers if number < bound]
assert below([1, 5, 3], 4) == [1, 3]
"""


def main() -> None:
    """Measure, print the table, and write the figures where asked."""
    options = flags(__doc__).parse_args()
    with a_host() as host:
        failures = [fault for name in ATTACKS if (fault := why_lost(name, host))]
    for fault in failures:
        print(fault, file=sys.stderr)
    figures: dict[str, Figure] = {
        "attacks_held": len(ATTACKS) - len(failures),
        "attacks_total": len(ATTACKS),
        **speed(30 if options.quick else 200),
    }
    report("sandbox", figures, json_path=options.json)


def why_lost(name: str, host: Mapping[str, object]) -> str | None:
    """Return what an attack achieved, or None if it was held."""
    attack = ATTACKS[name]
    began = monotonic()
    outcome = run(attack, host)
    seconds = monotonic() - began
    found = {
        "it escaped": ESCAPED in outcome.output,
        f"it ended as {outcome.verdict}": outcome.verdict not in attack.ends,
        f"it took {seconds:.1f} s": seconds > bounds(attack).seconds + SLACK_S,
        "it left a process behind": bool(processes_with(str(host["marker"]))),
        "it left a file behind": Path(str(host["secret"])).with_name("planted").exists(),
        "it changed a secret": Path(str(host["secret"])).read_text() != str(host["marker"]),
        "it failed before it tried": b"Traceback" in outcome.errors and b"Error" in outcome.errors,
    }
    lost = [words for words, true in found.items() if true]
    said = (outcome.output + outcome.errors)[-400:].decode(errors="replace")
    return f"{name}: {', '.join(lost)}; it said {said!r}" if lost else None


def run(attack: Attack, host: Mapping[str, object]) -> Outcome:
    """Run an attack to its end."""
    return Sandbox(bounds(attack)).python(PRELUDE + attack.source, json.dumps(host).encode())


def bounds(attack: Attack) -> Limits:
    return SHORT if attack.ends == STOPPED else PATIENT


@contextmanager
def a_host() -> Generator[dict[str, object]]:
    """Yield what an attacker would like to reach, all of it really there."""
    marker = f"9{os.getpid()}.{monotonic()}"
    with ExitStack() as things, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)  # open to everyone, so that only the sandbox stands between
        (folder / "secret").write_text(marker)
        listening = things.enter_context(_listener(socket.AF_INET, ("", 0)))
        listening6 = things.enter_context(_listener(socket.AF_INET6, ("::1", 0)))
        things.enter_context(_listener(socket.AF_UNIX, str(folder / "socket")))
        things.enter_context(_listener(socket.AF_UNIX, f"\0{marker}"))
        sleeper = things.enter_context(subprocess.Popen(["sleep", "600"], env={VARIABLE: marker}))
        things.callback(sleeper.kill)
        yield {
            "secret": str(folder / "secret"),
            "marker": marker,
            "variable": VARIABLE,
            "address": _own_address(),
            "port": listening.getsockname()[1],
            "port6": listening6.getsockname()[1],
            "socket": str(folder / "socket"),
            "abstract": marker,
            "pid": sleeper.pid,
        }


def processes_with(marker: str) -> list[str]:
    """Return the processes of this machine whose command line names the marker."""
    found: list[str] = []
    for file in PROC.glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in file.read_bytes():
                found.append(file.parent.name)
        except OSError:  # it ended meanwhile
            continue
    return found


def speed(count: int) -> dict[str, Figure]:
    """Return the checks a second on all cores, and what one costs."""
    sandbox = Sandbox(PATIENT)
    sandbox.python(CHECK)
    began, busy = monotonic(), process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(sandbox.python, [CHECK] * count))
    seconds = monotonic() - began
    assert all(outcome.code == 0 for outcome in outcomes)
    return {
        "checks_per_s": count / seconds,
        "supervisor_ms_per_check": 1000 * (process_time() - busy) / count,
        "load_before": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }


def _listener(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    listening = socket.socket(family)
    listening.bind(address)
    listening.listen()
    return listening


def _own_address() -> str:
    """Return an address of this machine that is not the loopback's, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        try:
            datagram.connect(("192.0.2.1", 9))  # sends nothing: it only chooses an interface
        except OSError:
            return "127.0.0.1"
        return datagram.getsockname()[0]


if __name__ == "__main__":
    main()
