"""What pytest must not import while it looks for doctests."""

collect_ignore = ["memory/migrations/env.py"]  # means something only when Alembic executes it
