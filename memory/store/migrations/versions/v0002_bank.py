"""What memory holds: the journal, the tables that follow from it, vectors and full text."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

name = sa.String()
key = sa.String().with_variant(sa.String(collation="C"), "postgresql")
word = sa.String(16)
instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    _journal()
    _items()
    _critiques()
    _recalls()
    op.create_table(
        "source",
        sa.Column("subject", key, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("episode", key, sa.ForeignKey("episode.id"), primary_key=True),
    )
    op.create_index("source_by_episode", "source", ["episode"])
    op.create_table(
        "vector",
        sa.Column("model", name, primary_key=True),
        sa.Column("item", key, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )
    op.create_index("vector_by_item", "vector", ["item"])
    _words()


def downgrade() -> None:
    for table in ("item_words", "vector", "source", "recall", "critique", "item", "journal"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TEXT SEARCH CONFIGURATION apprentice")
        op.execute("DROP TEXT SEARCH DICTIONARY apprentice_stem")


def _words() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE item_words USING fts5(words, tokenize='porter unicode61')")
        return
    # Stems without stop words, as FTS5's porter has them.
    op.execute(
        "CREATE TEXT SEARCH DICTIONARY apprentice_stem (TEMPLATE = snowball, LANGUAGE = porter)"
    )
    op.execute("CREATE TEXT SEARCH CONFIGURATION apprentice (PARSER = pg_catalog.default)")
    op.execute(
        "ALTER TEXT SEARCH CONFIGURATION apprentice "
        "ADD MAPPING FOR asciiword, word, numword WITH apprentice_stem"
    )
    op.execute(
        "ALTER TEXT SEARCH CONFIGURATION apprentice "
        "ADD MAPPING FOR int, uint, float, sfloat WITH simple"
    )
    op.execute("CREATE TABLE item_words (rowid bigint PRIMARY KEY, words tsvector NOT NULL)")
    op.execute("CREATE INDEX item_words_by_word ON item_words USING gin (words)")


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("deed", word, nullable=False),
        sa.Column("subject", key, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("standing", word),
        sa.Column("by", name, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("content", sa.Text),
    )
    op.create_index("journal_by_subject", "journal", ["subject", "seq"])


def _items() -> None:
    op.create_table(
        "item",
        sa.Column("id", key, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("type", word, nullable=False),
        sa.Column("environment", name, nullable=False),
        sa.Column("kind", name, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("standing", word, nullable=False),
        sa.Column("entry", sa.Integer, sa.ForeignKey("journal.seq"), nullable=False),
    )
    op.create_index("item_by_kind", "item", ["environment", "kind", "number"])
    op.create_index("item_by_standing", "item", ["standing", "number"])


def _critiques() -> None:
    op.create_table(
        "critique",
        sa.Column("id", key, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("episode", key, sa.ForeignKey("episode.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entry", sa.Integer, sa.ForeignKey("journal.seq"), nullable=False),
    )
    op.create_index("critique_by_episode", "critique", ["episode", "number"])


def _recalls() -> None:
    op.create_table(
        "recall",
        sa.Column("episode", key, primary_key=True),
        sa.Column("item", key, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("run", key, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("tag", word),
    )
    op.create_index("recall_by_item", "recall", ["item", "at"])
