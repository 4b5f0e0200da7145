"""What windows look through: all that a run amounts to in one index, and the words of episodes."""

import sqlalchemy as sa
from alembic import op

from memory.store import fulltext

revision = "0005"
down_revision = "0004"

TALLIED = ("steps", "prompt_tokens", "completion_tokens", "started", "ending", "split", "policy")

BATCH = 256
"""Episodes read at once."""


def upgrade() -> None:
    op.create_index("episode_by_tally", "episode", ["run", *TALLIED])
    _words()
    _index_what_is_there()


def downgrade() -> None:
    op.drop_table("episode_words")
    op.drop_index("episode_by_tally", "episode")


def _words() -> None:
    # Without positions: words are looked for one by one, and the index stays a third of the size.
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE episode_words USING "
            "fts5(episode UNINDEXED, words, tokenize='porter unicode61', detail=none)"
        )
        return
    op.execute(
        "CREATE TABLE episode_words (rowid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
        'episode varchar COLLATE "C" NOT NULL UNIQUE, words tsvector NOT NULL)'
    )
    op.execute("CREATE INDEX episode_words_by_word ON episode_words USING gin (words)")


def _index_what_is_there() -> None:
    connection = op.get_bind()
    ids = connection.scalars(sa.text("SELECT id FROM episode ORDER BY started, id")).all()
    packed = sa.text("SELECT packed FROM episode_body WHERE episode = :id")
    for place in range(0, len(ids), BATCH):
        bodies = (connection.scalar(packed, {"id": id}) for id in ids[place : place + BATCH])
        fulltext.put_packed(connection, (body for body in bodies if body is not None))
