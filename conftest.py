"""What pytest must not import while it looks for doctests."""

from importlib.util import find_spec

collect_ignore = [
    "memory/migrations/env.py",  # means something only when Alembic executes it
    "tests/openenv_server.py",  # run by a Python that has OpenEnv
]
if find_spec("verifiers") is None:
    collect_ignore.append("environments/bridges/verifiers_export.py")
