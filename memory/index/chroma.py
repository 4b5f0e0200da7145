"""One Chroma collection: in a folder that is ours alone, or on a server that anyone may share.

A collection is made again beside the one that is in use, which goes only when the new one is whole:
so whoever searches meanwhile finds what was there before, and then what is there now.
"""

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast

from environments.errors import UserError
from memory.index.claim import Claim
from memory.index.exact import Floats, Key
from memory.knowledge.items import Standing

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateHNSWConfiguration
    from chromadb.api.models.Collection import Collection as Vectors
    from chromadb.api.types import Metadata
    from chromadb.config import Settings

Part = TypeVar("Part")
Answer = TypeVar("Answer")

FOLDER = "chroma"
"""Chroma's own folder within the claimed one, so that it can be deleted whole."""

BATCH = 2048
"""Vectors handed over at once; Chroma refuses more than 5,461."""

PAGE = 10_000
"""Items whose versions are read at once: from a store of its own Chroma reads 32,766, the variables
of an SQLite statement, and of more items not one."""

GRAPH: "CreateHNSWConfiguration" = {
    "space": "ip",
    "ef_construction": 128,
    "max_neighbors": 16,
    "ef_search": 200,
}
"""Of the HNSW graph. Inner product is the cosine of unit vectors. ef_search is what recall@10 and
the time of a search hang on; measured by `python -m bench.recall`."""

WHOLE = "whole"
"""What a collection says of itself once everything is in it; one of an older version says nothing
and is whole."""


class IndexUnreachableError(UserError, ConnectionError):
    """The Chroma server does not answer."""


class IndexRefusedError(UserError, PermissionError):
    """The Chroma server, or what guards it, wants another token."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a Chroma server is, and what it lets in."""

    host: str
    port: int
    ssl: bool = False
    token: str = field(default="", repr=False)  # sent as a bearer token; empty: none

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Chroma:
    """The vectors of one model, for items of one standing and world."""

    def __init__(
        self,
        client: "Client",
        which: Which,
        *,
        claim: Claim | None = None,
        server: Server | None = None,
    ) -> None:
        self._client = client
        self._which = which
        self._claim = claim
        self._server = server
        self._vectors = self._newest()
        self._vectors.get(limit=1)  # a damaged graph is noticed when something is read

    @classmethod
    def in_folder(cls, folder: Path, claim: Claim, which: Which) -> Self:
        """Return the collection in a folder that is claimed; what cannot be opened is made anew."""
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.errors import ChromaError

        path = folder / FOLDER
        try:
            return cls(_opened(path), which, claim=claim)
        except ChromaError:
            SharedSystemClient.clear_system_cache()  # it keeps what it failed to open
            shutil.rmtree(path)
            return cls(_opened(path), which, claim=claim)

    @classmethod
    def at(cls, server: Server, which: Which) -> Self:
        """Return the collection on a server.

        Raises:
            IndexUnreachableError: it does not answer.
            IndexRefusedError: it does not let us in.
        """
        from chromadb import HttpClient

        try:
            client = HttpClient(
                host=server.host,
                port=server.port,
                ssl=server.ssl,
                headers={"Authorization": f"Bearer {server.token}"} if server.token else {},
                settings=_settings(),
            )
        except ValueError as error:
            if "Could not connect" in str(error):
                raise _unreachable(server) from error
            raise _refused(server) from error
        return cls(cast("Client", client), which, server=server)

    def close(self) -> None:
        session = getattr(getattr(self._client, "_server", None), "_session", None)
        self._client.close()
        if session is not None:
            session.close()  # chromadb 1.5 leaves its connections to a server open
        if self._claim is not None:
            self._claim.release()

    @property
    def alone(self) -> bool:
        """Whether nobody else writes it."""
        return self._claim is not None

    def count(self) -> int:
        return self._asked(lambda vectors: vectors.count())

    def keys(self) -> list[Key]:
        return self._asked(_keys)

    def follow(self, held: Collection[Key], keys: Sequence[Key], unit_ND: Floats) -> None:
        """Make the collection, which holds some, hold these vectors and no others."""
        self._asked(lambda vectors: _follow(vectors, held, keys, unit_ND))

    def rebuild(self, keys: Sequence[Key], unit_ND: Floats) -> None:
        """Make the collection again, beside the one in use, and put it in its place when whole."""
        old = self._named()
        name = f"{self._which.collection}-{max((number for number, _ in old), default=0) + 1}"
        new = self._asked(lambda _: self._made(name, whole=False))
        self._asked(lambda _: _follow(new, _keys(new), keys, unit_ND))
        new.modify(metadata={**self._metadata(), WHOLE: True})  # from here on it is the newest
        self._vectors = new
        for _, vectors in old:
            self._drop(vectors.name)

    def nearest(self, query_D: Floats, limit: int) -> list[str]:
        """Return the ids of the items nearest to a unit vector, nearest first.

        Not their vectors, for which Chroma takes another 5 ms.
        """
        return self._asked(lambda vectors: _nearest(vectors, query_D, limit))

    def catch_up(self) -> None:
        """Use what another process made again meanwhile."""
        newest = self._asked(lambda _: self._newest())
        if newest.id != self._vectors.id:
            self._vectors = newest

    def _asked(self, ask: "Callable[[Vectors], Answer]") -> Answer:
        """Ask the collection; once more where another process has just put a new one in its place.

        Raises:
            IndexUnreachableError: the server went meanwhile.
        """
        import httpx
        from chromadb.errors import ChromaError

        try:
            try:
                return ask(self._vectors)
            except ChromaError:  # not found, or "Missing metadata segment" while it is deleted
                self._vectors = self._newest()
                return ask(self._vectors)
        except httpx.TransportError as error:
            assert self._server is not None, "only a server is reached over a network"
            raise _unreachable(self._server) from error

    def _newest(self) -> "Vectors":
        """Return the newest collection that is whole, made where there is none."""
        whole = [each for each in self._named() if (each[1].metadata or {}).get(WHOLE, True)]
        if whole:
            return max(whole, key=lambda each: each[0])[1]
        return self._made(f"{self._which.collection}-1", whole=True)

    def _named(self) -> "list[tuple[int, Vectors]]":
        """Return the collections that are or will be of these vectors, by number."""
        name = self._which.collection
        listed = [each for each in self._client.list_collections() if each.name.startswith(name)]
        return [(int(each.name.removeprefix(name).strip("-") or 0), each) for each in listed]

    def _made(self, name: str, *, whole: bool) -> "Vectors":
        return self._client.get_or_create_collection(
            name,
            configuration={"hnsw": GRAPH},
            metadata={**self._metadata(), WHOLE: whole},
            embedding_function=None,  # the default one downloads a model
        )

    def _metadata(self) -> "dict[str, str | int | float | bool | None]":
        return {"model": self._which.model}

    def _drop(self, name: str) -> None:
        from chromadb.errors import NotFoundError

        with suppress(NotFoundError):  # whoever else makes it again drops it too
            self._client.delete_collection(name)


def _keys(vectors: "Vectors") -> list[Key]:
    keys: dict[str, int] = {}  # what another process moves meanwhile may be on two pages
    for start in count(0, PAGE):
        held = vectors.get(include=["metadatas"], limit=PAGE, offset=start)
        noted = held["metadatas"] or []
        keys |= {id: int(str(each["version"])) for id, each in zip(held["ids"], noted, strict=True)}
        if len(held["ids"]) < PAGE:
            break
    return list(keys.items())


def _follow(
    vectors: "Vectors", held: Collection[Key], keys: Sequence[Key], unit_ND: Floats
) -> None:
    known, wanted = set(held), set(keys)
    # What changed goes too: a vector moved within the graph can cut others off from every search.
    gone = {id for id, version in known if (id, version) not in wanted}
    for ids in _parts(sorted(gone)):
        vectors.delete(ids=list(ids))
    new = [row for row, key in enumerate(keys) if key not in known]
    for rows in _parts(new):
        versions: list[Metadata] = [{"version": keys[row][1]} for row in rows]
        # Not add(), which passes over an id that is there already, in silence.
        vectors.upsert(
            ids=[keys[row][0] for row in rows], embeddings=unit_ND[rows], metadatas=versions
        )


def _nearest(vectors: "Vectors", query_D: Floats, limit: int) -> list[str]:
    if limit < 1:
        return []
    return vectors.query(query_embeddings=[query_D], n_results=limit, include=[])["ids"][0]


def _unreachable(server: Server) -> IndexUnreachableError:
    return IndexUnreachableError(
        f"no Chroma server at {server}; start one with chroma run --port {server.port}, then "
        "resume: nothing that was finished is lost"
    )


def _refused(server: Server) -> IndexRefusedError:
    return IndexRefusedError(
        f"the Chroma server at {server} does not let us in; set memory.chroma_token, "
        "or APPRENTICE_MEMORY__CHROMA_TOKEN, to the token that its proxy asks for"
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
