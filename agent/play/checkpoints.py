"""Where episodes under way are saved, so that a killed one goes on where it was.

LangGraph's own SQLite saver, with its faults told as something a user can mend: a full disk under
one episode is a full disk under all of them, so it must stop the practice and not break episodes.
"""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiosqlite import Error as SQLiteError
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from environments.errors import UserError


class CheckpointError(UserError, OSError):
    """Episodes under way cannot be saved or read."""

    def __init__(self, error: Exception) -> None:
        advice = "free disk space or move --home; if the file is damaged, delete it"
        super().__init__(f"cannot save the episodes under way: {error}; {advice}")


class Checkpoints(SqliteSaver):
    """Saves within the event loop, which costs less than to reach a thread that saves.

    LangGraph's `AsyncSqliteSaver` has such a thread; `python -m bench.episode` compares the two.
    """

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with _told():
            return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        with _told():
            self.put_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with _told():
            return self.get_tuple(config)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        with _told():
            return self.get_delta_channel_history(config=config, channels=channels)

    async def adelete_thread(self, thread_id: str) -> None:
        with _told():
            self.delete_thread(thread_id)


@asynccontextmanager
async def checkpoints(file: Path) -> AsyncGenerator[SqliteSaver]:
    """Open the checkpoints in a file, made where it is missing.

    Raises:
        CheckpointError: it cannot be opened, read or written.
    """
    with _told(), Checkpoints.from_conn_string(str(file)) as saver:
        saver.setup()
        # A crash of the machine may lose the last steps of an episode; a kill does not.
        saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield saver


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except SQLiteError as error:
        raise CheckpointError(error) from None
