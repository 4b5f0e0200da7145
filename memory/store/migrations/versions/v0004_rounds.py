"""Rounds of learning: what each stage of them came to, and which candidates were judged."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

key = sa.String().with_variant(sa.String(collation="C"), "postgresql")
instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "round",
        sa.Column("id", key, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("started", instant, nullable=False),
        sa.Column("finished", instant),
    )
    op.create_table(
        "stage",
        sa.Column("round", key, sa.ForeignKey("round.id"), primary_key=True),
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
    )
    op.create_table(
        "verdict",
        sa.Column("candidate", key, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("opened", instant, nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("decided", instant),
    )


def downgrade() -> None:
    for table in ("verdict", "stage", "round"):
        op.drop_table(table)
