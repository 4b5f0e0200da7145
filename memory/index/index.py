"""The vector index: Chroma, derived from the vectors in SQL and never the truth.

One process at a time may write an embedded Chroma; whoever comes second searches the vectors in SQL
exactly, so every process finds every item. Deleting the index loses nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

import numpy as np

from environments.errors import UserError
from memory.index.chroma import Chroma, Server, Which
from memory.index.claim import Claim, Owner
from memory.index.exact import Exact, Floats, Held, Key, Neighbor
from memory.knowledge.items import Standing

SAMPLE = 256
"""Vectors that a check searches for, spread over all: 1 s."""

SAME = 1e-4
"""Cosine under 1 at which a vector found may be the one searched for, or its exact duplicate."""


class NotTheOwnerError(UserError, RuntimeError):
    """Another process owns the index."""


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

    def __init__(self, truth: Truth, which: Which, chroma: Chroma | None) -> None:
        self._truth = truth
        self._which = which
        self._chroma = chroma
        self._exact = Exact([], np.empty((0, 0), dtype=np.float32))
        self._held: Held = self._exact  # of SQL; what Chroma finds is looked up here, 2 ms sooner
        self._followed = False  # whether a Chroma of our own holds just that
        self._following = Lock()
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
    def served(cls, truth: Truth, which: Which, server: Server) -> Self:
        """Return the index on a Chroma server, which any number of processes may use.

        Raises:
            IndexUnreachableError: it does not answer.
            IndexRefusedError: it does not let us in.
        """
        return cls(truth, which, Chroma.at(server, which))

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
        if self._chroma is None:
            return self._exact.find(query_D, limit, also)
        return self._held.named(query_D, {*also, *self._chroma.nearest(query_D, limit)})

    def refresh(self) -> None:
        """Take over what any process has written to SQL since."""
        if self._chroma is not None:
            self._follow(self._chroma)
            return
        keys, unit_ND = self._stored()
        if keys != self._exact.keys:
            self._exact = Exact(keys, unit_ND)

    def rebuild(self) -> int:
        """Make the index again from SQL alone; return how many vectors it holds.

        Whoever searches it meanwhile finds what it held before.

        Raises:
            NotTheOwnerError: another process owns it.
        """
        if self._chroma is None:
            raise NotTheOwnerError("another process owns the index; end it, then reindex")
        self._followed = False
        self._chroma.rebuild(*self._stored())
        self.refresh()  # with what was stored meanwhile
        return self._chroma.count()

    def check(self, sample: int = SAMPLE) -> Agreement:
        """Compare what the index finds with what SQL holds."""
        keys, unit_ND = self._stored()
        ids = [id for id, _ in keys]
        indexed = [id for id, _ in self._indexed()]
        lost = set(ids).difference(indexed)
        rows = range(0, len(ids), max(1, len(ids) // max(1, sample)))
        lost.update(ids[row] for row in rows if not self._finds(ids[row], unit_ND[row]))
        return Agreement(
            stored=len(ids), indexed=len(indexed), searched=len(rows), lost=tuple(sorted(lost))
        )

    def _follow(self, chroma: Chroma) -> None:
        """Bring the collection after SQL; only what others may write is read again, 2 s at 10^5."""
        with self._following:
            if self._followed:
                indexed = self._held.keys
            else:
                chroma.catch_up()
                indexed = chroma.keys()
            # After that: what another process adds in between is not taken for a leftover.
            keys, unit_ND = self._stored()
            self._followed = False  # should it end in the middle
            chroma.follow(indexed, keys, unit_ND)
            self._held = Held(keys, unit_ND)
            self._followed = chroma.alone

    def _stored(self) -> tuple[list[Key], Floats]:
        which = self._which
        return self._truth.vectors(
            which.model, standing=which.standing, environment=which.environment
        )

    def _indexed(self) -> list[Key]:
        return self._exact.keys if self._chroma is None else self._chroma.keys()

    def _finds(self, id: str, unit_D: Floats) -> bool:
        """Of several equal vectors a search may return any."""
        found = self.find(unit_D, 1)
        return bool(found) and (found[0].id == id or found[0].similarity > 1 - SAME)
