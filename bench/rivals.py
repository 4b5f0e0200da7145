"""The same lessons in mem0 and in LangMem's store, where these are installed beside us.

With the same model of embedding and without a language model: what is compared is storing and
finding. Neither is a dependency of ours; mem0 reports home unless MEM0_TELEMETRY=False is set.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.figures import Figure
from memory.index.embed import Embedder

WIDTH = 384  # numbers in a vector
AT = 10  # items asked for
OWNER = "bench"  # whose memories they are: both keep those of users apart


def beside(
    folder: Path, texts: Sequence[str], asked: Sequence[str], embedder: Embedder, model: Path
) -> dict[str, Figure]:
    """Return what storing these texts one by one and finding some takes; None: not installed.

    Args:
        folder: where mem0 may write.
        texts: to be stored.
        asked: to be found.
        embedder: for LangMem, which takes any.
        model: its folder, for mem0, which loads its own.
    """
    found: dict[str, Figure] = {"rival_items": len(texts)}
    rivals: dict[str, Callable[[], tuple[Add, Find]]] = {
        "mem0": lambda: _mem0(folder, model),
        "langmem": lambda: _langmem(embedder),
    }
    for name, opened in rivals.items():
        ingest, recall = f"{name}_ingest_per_s", f"{name}_recall_with_embedding_p50_ms"
        if find_spec(name) is None:
            found |= {ingest: None, recall: None}
            continue
        add, find = opened()
        started = time.perf_counter()
        for text in texts:
            add(text)
        found[ingest] = len(texts) / (time.perf_counter() - started)
        found[recall] = 1000 * statistics.median(_taken(find, asked))
    return found


Add = Callable[[str], object]
Find = Callable[[str], object]


def _mem0(folder: Path, model: Path) -> tuple[Add, Find]:
    memory: Any = import_module("mem0").Memory.from_config(
        {
            "embedder": {
                "provider": "huggingface",
                "config": {"model": str(model), "embedding_dims": WIDTH},
            },
            "vector_store": {
                "provider": "qdrant",
                "config": {"path": str(folder / "qdrant"), "embedding_model_dims": WIDTH},
            },
            "llm": {"provider": "openai", "config": {"api_key": "never asked"}},
            "history_db_path": str(folder / "history.db"),
        }
    )
    return (
        lambda text: memory.add(text, user_id=OWNER, infer=False),
        lambda text: memory.search(text, top_k=AT, filters={"user_id": OWNER}, threshold=0.0),
    )


def _langmem(embedder: Embedder) -> tuple[Add, Find]:
    """Return what its tools do to the LangGraph store that they are given."""

    def embed(texts: list[str]) -> list[list[float]]:
        return embedder.items(texts).tolist()

    memory: Any = import_module("langgraph.store.memory")
    store = memory.InMemoryStore(index={"dims": WIDTH, "embed": embed})
    numbers = iter(range(10**9))
    return (
        lambda text: store.put((OWNER,), str(next(numbers)), {"content": text}),
        lambda text: store.search((OWNER,), query=text, limit=AT),
    )


def _taken(find: Find, asked: Iterable[str]) -> list[float]:
    taken: list[float] = []
    for text in asked:
        started = time.perf_counter()
        find(text)
        taken.append(time.perf_counter() - started)
    return taken
