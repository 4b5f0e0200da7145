"""The vector index: Chroma, derived from the vectors in SQL and never the truth.

One process at a time may write an embedded Chroma; whoever comes second searches the vectors in SQL
exactly, so every process finds every item. Deleting the index loses nothing.
"""

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, cast

import numpy as np

from environments.errors import UserError
from memory.claim import Claim, Owner
from memory.exact import Exact, Floats, Key, Neighbor, in_order
from memory.items import Standing

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateHNSWConfiguration
    from chromadb.api.models.Collection import Collection as Vectors
    from chromadb.api.types import Metadata
    from chromadb.config import Settings

Part = TypeVar("Part")

FOLDER = "chroma"
"""Chroma's own folder within the claimed one, so that it can be deleted whole."""

BATCH = 2048
"""Vectors handed over at once; Chroma refuses more than 5,461."""

GRAPH: "CreateHNSWConfiguration" = {
    "space": "ip",
    "ef_construction": 128,
    "max_neighbors": 16,
    "ef_search": 200,
}
"""Of the HNSW graph. Inner product is the cosine of unit vectors. ef_search is what recall@10 and
the time of a search hang on; measured by `python -m bench.recall`."""

SAMPLE = 256
"""Vectors that a check searches for, spread over all: 1 s."""

SAME = 1e-4
"""Cosine under 1 at which a vector found may be the one searched for, or its exact duplicate."""


class IndexUnreachableError(UserError, ConnectionError):
    """The Chroma server does not answer."""


class NotTheOwnerError(UserError, RuntimeError):
    """Another process owns the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The vectors that an index is of."""

    model: str  # the name of the embedder
    standing: Standing | None = Standing.ACTIVE  # of the items; None: any
    environment: str | None = None  # of the items; None: any

    @property
    def collection(self) -> str:
        """Return a name of characters that Chroma allows; a model's may be a path."""
        told = f"{self.model}\n{self.standing}\n{self.environment}"
        return f"items-{blake2b(told.encode(), digest_size=8).hexdigest()}"


class Truth(Protocol):
    """Where the vectors are kept, by the id and version of the items they are of."""

    def vectors(
        self, model: str, *, standing: Standing | None, environment: str | None
    ) -> tuple[list[Key], Floats]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What an index finds, beside what SQL holds."""

    stored: int  # vectors in SQL
    indexed: int  # vectors that the index says it has
    searched: int  # vectors that were searched for
    lost: tuple[str, ...]  # items that SQL holds and the index lacks or does not find

    @property
    def good(self) -> bool:
        return self.stored == self.indexed and not self.lost


class Index:
    """The items nearest to a vector. Safe to share between threads once it is open."""

    def __init__(self, truth: Truth, which: Which, chroma: "Chroma | None") -> None:
        self._truth = truth
        self._which = which
        self._chroma = chroma
        self._exact = Exact([], np.empty((0, 0), dtype=np.float32))
        self.refresh()

    @classmethod
    def embedded(cls, truth: Truth, which: Which, folder: Path, me: Owner) -> Self:
        """Return the index in a folder if nobody owns it, else an exact search over SQL."""
        claim = Claim.stake(folder, me)
        if claim is None:
            return cls(truth, which, None)
        try:
            return cls(truth, which, Chroma.in_folder(folder, claim, which))
        except BaseException:
            claim.release()
            raise

    @classmethod
    def served(cls, truth: Truth, which: Which, host: str, port: int) -> Self:
        """Return the index on a Chroma server, which any number of processes may use.

        Raises:
            IndexUnreachableError: it does not answer.
        """
        return cls(truth, which, Chroma.at(host, port, which))

    @property
    def owned(self) -> bool:
        """Whether searches go through Chroma; otherwise they are exact."""
        return self._chroma is not None

    def close(self) -> None:
        if self._chroma is not None:
            self._chroma.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, query_D: Floats, limit: int, also: Collection[str] = ()) -> list[Neighbor]:
        """Return the items nearest to a unit vector and those named in `also`, nearest first."""
        return (self._chroma or self._exact).find(query_D, limit, also)

    def refresh(self) -> None:
        """Take over what any process has written to SQL since; 0.3 s at 10^5 items."""
        if self._chroma is not None:
            # In this order: what another process adds in between is not taken for a leftover.
            held = self._chroma.keys()
            self._chroma.follow(held, *self._stored())
            return
        keys, unit_ND = self._stored()
        if keys != self._exact.keys:
            self._exact = Exact(keys, unit_ND)

    def rebuild(self) -> int:
        """Make the index again from SQL alone; return how many vectors it holds.

        Raises:
            NotTheOwnerError: another process owns it.
        """
        if self._chroma is None:
            raise NotTheOwnerError("another process owns the index; end it, then reindex")
        self._chroma.empty()
        self.refresh()
        return self._chroma.count()

    def check(self, sample: int = SAMPLE) -> Agreement:
        """Compare what the index finds with what SQL holds."""
        keys, unit_ND = self._stored()
        ids = [id for id, _ in keys]
        indexed = [id for id, _ in self._held()]
        lost = set(ids).difference(indexed)
        rows = range(0, len(ids), max(1, len(ids) // max(1, sample)))
        lost.update(ids[row] for row in rows if not self._finds(ids[row], unit_ND[row]))
        return Agreement(
            stored=len(ids), indexed=len(indexed), searched=len(rows), lost=tuple(sorted(lost))
        )

    def _stored(self) -> tuple[list[Key], Floats]:
        which = self._which
        return self._truth.vectors(
            which.model, standing=which.standing, environment=which.environment
        )

    def _held(self) -> list[Key]:
        return self._exact.keys if self._chroma is None else self._chroma.keys()

    def _finds(self, id: str, unit_D: Floats) -> bool:
        """Of several equal vectors a search may return any."""
        found = self.find(unit_D, 1)
        return bool(found) and (found[0].id == id or found[0].similarity > 1 - SAME)


class Chroma:
    """One collection: the vectors of one model, for items of one standing and world."""

    def __init__(self, client: "Client", which: Which, claim: Claim | None = None) -> None:
        self._client = client
        self._which = which
        self._claim = claim  # None: a server owns the files
        self._vectors = self._collection()
        self._vectors.get(limit=1)  # a damaged graph is noticed when something is read

    @classmethod
    def in_folder(cls, folder: Path, claim: Claim, which: Which) -> Self:
        """Return the collection in a folder that is claimed; what cannot be opened is made anew."""
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.errors import ChromaError

        path = folder / FOLDER
        try:
            return cls(_opened(path), which, claim)
        except ChromaError:
            SharedSystemClient.clear_system_cache()  # it keeps what it failed to open
            shutil.rmtree(path)
            return cls(_opened(path), which, claim)

    @classmethod
    def at(cls, host: str, port: int, which: Which) -> Self:
        from chromadb import HttpClient

        try:
            client = HttpClient(host=host, port=port, settings=_settings())
            return cls(cast("Client", client), which)
        except ValueError as error:
            raise IndexUnreachableError(
                f"no Chroma server at {host}:{port}; start one with chroma run --port {port}"
            ) from error

    def close(self) -> None:
        self._client.close()
        if self._claim is not None:
            self._claim.release()

    def count(self) -> int:
        return self._vectors.count()

    def keys(self) -> list[Key]:
        held = self._vectors.get(include=["metadatas"])
        return [
            (id, int(str(noted["version"])))
            for id, noted in zip(held["ids"], held["metadatas"] or [], strict=True)
        ]

    def empty(self) -> None:
        self._client.delete_collection(self._vectors.name)
        self._vectors = self._collection()

    def follow(self, held: Collection[Key], keys: Sequence[Key], unit_ND: Floats) -> None:
        """Make the collection, which holds some, hold these vectors and no others."""
        known = set(held)
        gone = {id for id, _ in known}.difference(id for id, _ in keys)
        for ids in _parts(sorted(gone)):
            self._vectors.delete(ids=list(ids))
        new = [row for row, key in enumerate(keys) if key not in known]
        for rows in _parts(new):
            versions: list[Metadata] = [{"version": keys[row][1]} for row in rows]
            # Not add(), which passes over an id that is there already, in silence.
            self._vectors.upsert(
                ids=[keys[row][0] for row in rows], embeddings=unit_ND[rows], metadatas=versions
            )

    def find(self, query_D: Floats, limit: int, also: Collection[str] = ()) -> list[Neighbor]:
        found = self._nearest(query_D, limit) if limit > 0 else {}
        wanted = [id for id in also if id not in found]
        if wanted:
            named = self._vectors.get(ids=wanted, include=["embeddings"])
            found.update(zip(named["ids"], np.asarray(named["embeddings"]), strict=True))
        return in_order(
            Neighbor(id=id, similarity=float(vector_D @ query_D), vector_D=vector_D)
            for id, vector_D in found.items()
        )

    def _nearest(self, query_D: Floats, limit: int) -> dict[str, Floats]:
        near = self._vectors.query(
            query_embeddings=[query_D], n_results=limit, include=["embeddings"]
        )
        vectors = near["embeddings"] or []
        return dict(zip(near["ids"][0], np.asarray(vectors[0], dtype=np.float32), strict=True))

    def _collection(self) -> "Vectors":
        return self._client.get_or_create_collection(
            self._which.collection,
            configuration={"hnsw": GRAPH},
            metadata={"model": self._which.model},
            embedding_function=None,  # the default one downloads a model
        )


def _opened(path: Path) -> "Client":
    from chromadb import PersistentClient

    return cast("Client", PersistentClient(path, _settings()))


def _settings() -> "Settings":
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _parts(whole: Sequence[Part]) -> Iterator[Sequence[Part]]:
    for start in range(0, len(whole), BATCH):
        yield whole[start : start + BATCH]
