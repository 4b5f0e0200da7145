"""What pytest must not import while it looks for doctests; and Ctrl-C reaches what tests start."""

import signal
from importlib.util import find_spec

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = [
    "memory/store/migrations/env.py",  # means something only when Alembic executes it
    "tests/openenv_server.py",  # run by a Python that has OpenEnv
]
if find_spec("verifiers") is None:
    collect_ignore.append("environments/bridges/verifiers_export.py")
