"""What becomes of the processes of a process that is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
IMPORTS = os.pathsep.join([str(TESTS.parent), str(TESTS)])

SLEEP = "\nimport time; time.sleep(60)"


def outlives(code: str) -> bool:
    """Return whether a process lives on after the one that started it was killed.

    Args:
        code: starts it, and prints its number.
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", code + SLEEP],
        env={**os.environ, "PYTHONPATH": IMPORTS},
        stdout=subprocess.PIPE,
    )
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return False
        signal.sigtimedwait([], 0.1)
    return True
