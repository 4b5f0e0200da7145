"""Where episodes under way are saved, so that a killed one goes on where it was.

LangGraph's own SQLite saver, with its faults told as something a user can mend: a full disk under
one episode is a full disk under all of them, so it must stop the practice and not break episodes.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from environments.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])


class CheckpointError(UserError, OSError):
    """Episodes under way cannot be saved or read."""

    def __init__(self, error: Exception) -> None:
        advice = "free disk space or move --home; if the file is damaged, delete it"
        super().__init__(f"cannot save the episodes under way: {error}; {advice}")


def _told(method: F) -> F:
    @wraps(method)
    async def telling(*args: object, **kwargs: object) -> object:
        try:
            return await method(*args, **kwargs)
        except aiosqlite.Error as error:
            raise CheckpointError(error) from None

    return cast(F, telling)


class Checkpoints(AsyncSqliteSaver):
    """What the graph saves to and the practice drops from."""

    aput = _told(AsyncSqliteSaver.aput)
    aput_writes = _told(AsyncSqliteSaver.aput_writes)
    aget_tuple = _told(AsyncSqliteSaver.aget_tuple)
    aget_delta_channel_history = _told(AsyncSqliteSaver.aget_delta_channel_history)
    adelete_thread = _told(AsyncSqliteSaver.adelete_thread)


@asynccontextmanager
async def checkpoints(file: Path) -> AsyncGenerator[Checkpoints]:
    """Open the checkpoints in a file, made where it is missing.

    Raises:
        CheckpointError: it cannot be opened, read or written.
    """
    try:
        file.open("ab").close()  # aiosqlite leaves a thread behind when it cannot connect
    except OSError as error:
        raise CheckpointError(error) from None
    connection = await aiosqlite.connect(file)
    try:
        saver = Checkpoints(connection)
        # A crash of the machine may lose the last step of an episode under way; a kill does not.
        await connection.execute("PRAGMA synchronous=NORMAL")
        yield saver
    except aiosqlite.Error as error:
        raise CheckpointError(error) from None
    finally:
        await connection.close()
