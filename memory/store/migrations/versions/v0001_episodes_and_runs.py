"""Episodes and the runs that made them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

FILTERS = ("run", "environment", "split", "kind", "ending", "policy")


def upgrade() -> None:
    name = sa.String()
    key = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    word = sa.String(16)
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "run",
        sa.Column("id", key, primary_key=True),
        sa.Column("environment", name, nullable=False),
        sa.Column("split", word, nullable=False),
        sa.Column("policy", name, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("episodes", sa.Integer, nullable=False),
        sa.Column("started", instant, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("finished", instant),
    )
    op.create_index("run_by_age", "run", ["started", "id"])
    op.create_table(
        "episode",
        sa.Column("id", key, primary_key=True),
        sa.Column("run", key, nullable=False),
        sa.Column("task_id", name, nullable=False),
        sa.Column("environment", name, nullable=False),
        sa.Column("split", word, nullable=False),
        sa.Column("kind", name, nullable=False),
        sa.Column("goal", sa.Text, nullable=False),
        sa.Column("ending", word, nullable=False),
        sa.Column("policy", name, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("reward", sa.Float, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("started", instant, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_index("episode_by_age", "episode", ["started", "id"])
    for column in FILTERS:
        op.create_index(f"episode_by_{column}", "episode", [column, "started", "id"])
    op.create_table(
        "episode_body",
        sa.Column("episode", key, sa.ForeignKey("episode.id"), primary_key=True),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":  # it is compressed already
        op.execute("ALTER TABLE episode_body ALTER packed SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("episode_body")
    op.drop_table("episode")
    op.drop_table("run")
