"""What Alembic executes to run migrations: on the connection that `upgrade` was given."""

from alembic import context

from memory.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, once it is told where a transaction begins
)
context.run_migrations()
