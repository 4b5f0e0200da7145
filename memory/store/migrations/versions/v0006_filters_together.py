"""Filters that hold together are looked up in one index, without reading what one of them drops."""

from alembic import op

revision = "0006"
down_revision = "0005"

FILTERS = ("environment", "split", "kind", "ending", "policy")
ORDER = ("started", "id")


def upgrade() -> None:
    for name in FILTERS:
        op.drop_index(f"episode_by_{name}", "episode")
        others = (other for other in FILTERS if other != name)
        op.create_index(f"episode_by_{name}", "episode", [name, *ORDER, *others])


def downgrade() -> None:
    for name in FILTERS:
        op.drop_index(f"episode_by_{name}", "episode")
        op.create_index(f"episode_by_{name}", "episode", [name, *ORDER])
