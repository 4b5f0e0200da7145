"""The proof of memories: which were judged at which level, and the pairs that judged them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

key = sa.String().with_variant(sa.String(collation="C"), "postgresql")
instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "trial",
        sa.Column("item", key, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("pairs", sa.Integer, nullable=False),
        sa.Column("opened", instant, nullable=False),
        sa.Column("result", sa.String(16)),
        sa.Column("ended", instant),
    )
    op.create_table(
        "trial_pair",
        sa.Column("item", key, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("incumbent", sa.Boolean, nullable=False),
        sa.Column("candidate", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    for table in ("trial_pair", "trial"):
        op.drop_table(table)
