"""Run the migrations from inside the package: whoever uses it needs no alembic.ini."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from memory.store.errors import StoreError
from memory.store.schema import HEAD

HERE = Path(__file__).parent


def upgrade(connection: Connection, found: str | None, target: str = HEAD) -> None:
    """Bring a database that stands at `found` to `target`, in the transaction of `connection`."""
    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"{connection.engine.url.database} has schema {found!r}, which this version does not "
            f"know (its own is {HEAD!r}); install a newer version or name another file"
        )
    command.upgrade(config, target)


def downgrade(connection: Connection, target: str) -> None:
    """Take a database back to `target`, in the transaction of `connection`."""
    command.downgrade(_config(connection), target)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
