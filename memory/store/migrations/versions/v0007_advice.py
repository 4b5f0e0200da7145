"""Advice for a type of task is found at once, however many demonstrations there are beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ADVICE = sa.text("standing = 'active' AND type IN ('lesson', 'skill')")


def upgrade() -> None:
    op.create_index(
        "item_by_advice",
        "item",
        ["environment", "kind", "number"],
        sqlite_where=ADVICE,
        postgresql_where=ADVICE,
    )


def downgrade() -> None:
    op.drop_index("item_by_advice", "item")
