"""The nearest vectors, exactly: the search of whoever does not own the index, and its yardstick.

Nothing is built that could be wrong or stale: a few leading directions rule most vectors out by an
inequality, and what is left is compared in full. Shape suffixes: N vectors, M of them that may be
near, K that are, D numbers in each, H leading ones.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Key: TypeAlias = tuple[str, int]
"""The id of an item and its version."""

Floats: TypeAlias = NDArray[np.float32]

HEAD = 128
"""Leading directions kept apart. At 10^5 texts of many subjects 64 leave 17 % of the vectors to be
compared in full, 128 leave 0.2 % and cost 5 ms (whole vectors: 8 ms); exact with any number."""

SAMPLE = 4096
"""Vectors that the leading directions are computed from, 0.1 s; more would change little."""

SLACK = 1e-5
"""Cosine by which rounding may blur a bound: two float32 sums of some hundred products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """An item near a query."""

    id: str
    similarity: float  # cosine
    vector_D: Floats = field(repr=False, compare=False)


class Held:
    """Unit vectors in memory, by the ids of the items they are of."""

    def __init__(self, keys: Sequence[Key], unit_ND: Floats) -> None:
        self.keys = list(keys)
        self._row = {id: row for row, (id, _) in enumerate(self.keys)}
        self._unit_ND = unit_ND

    def named(self, query_D: Floats, ids: Collection[str]) -> list[Neighbor]:
        """Return the items with these ids as neighbors of a unit vector, nearest first."""
        return self._near(query_D, {self._row[id] for id in ids if id in self._row})

    def _near(self, query_D: Floats, rows: Collection[int]) -> list[Neighbor]:
        return in_order(
            Neighbor(
                id=self.keys[row][0],
                similarity=float(self._unit_ND[row] @ query_D),
                vector_D=self._unit_ND[row],
            )
            for row in rows
        )


class Exact(Held):
    """Unit vectors in memory, searched without approximation."""

    def __init__(self, keys: Sequence[Key], unit_ND: Floats) -> None:
        super().__init__(keys, unit_ND)
        self._basis_DH = _leading(unit_ND)
        self._head_NH = np.ascontiguousarray(unit_ND @ self._basis_DH)
        self._rest_N = _rest(unit_ND, self._head_NH)

    def find(self, query_D: Floats, limit: int, also: Collection[str] = ()) -> list[Neighbor]:
        """Return the items nearest to a unit vector and those named in `also`, nearest first."""
        named = {self._row[id] for id in also if id in self._row}
        nearest_K = self._nearest(query_D, min(limit, len(self.keys)))
        return self._near(query_D, named.union(nearest_K.tolist()))

    def _nearest(self, query_D: Floats, limit: int) -> NDArray[np.intp]:
        """Return the rows of the nearest, in no order.

        In an orthonormal basis q.x = head(q).head(x) + rest(q).rest(x), and by Cauchy and Schwarz
        the second term is at most |rest(q)| |rest(x)|. The whole cosines of those with the best
        bounds give a floor; what is bounded below it cannot be among the nearest.
        """
        if limit < 1:
            return np.empty(0, dtype=np.intp)
        head_H = query_D @ self._basis_DH
        bound_N = _dot(self._head_NH, head_H)
        bound_N += _rest(query_D[None], head_H[None])[0] * self._rest_N
        likely_K = _largest(bound_N, limit)
        floor = _dot(self._unit_ND[likely_K], query_D).min() - SLACK
        row_M = np.flatnonzero(bound_N >= floor)
        return row_M[_largest(self._cosines(row_M, query_D), limit)]

    def _cosines(self, row_M: NDArray[np.intp], query_D: Floats) -> Floats:
        # Scattered rows cost thrice as much as rows in a line.
        if 3 * len(row_M) > len(self.keys):
            return _dot(self._unit_ND, query_D)[row_M]
        return _dot(self._unit_ND[row_M], query_D)


def in_order(neighbors: Iterable[Neighbor]) -> list[Neighbor]:
    """Return them nearest first; equals by id, so that no order of storage shows."""
    return sorted(neighbors, key=lambda near: (-near.similarity, near.id))


def _largest(score_N: Floats, limit: int) -> NDArray[np.intp]:
    return np.argpartition(score_N, -limit)[-limit:]


def _dot(unit_ND: Floats, query_D: Floats) -> Floats:
    """Return the product. BLAS would wake a thread for each core and wait for the slowest."""
    return np.einsum("nd,d->n", unit_ND, query_D)


def _leading(unit_ND: Floats) -> Floats:
    """Return the principal directions of the vectors, the strongest first, as columns."""
    sample_SD = unit_ND[:: max(1, len(unit_ND) // SAMPLE)]
    _, direction_DD = np.linalg.eigh(sample_SD.T @ sample_SD)  # the weakest first
    return np.ascontiguousarray(direction_DD[:, ::-1][:, :HEAD])


def _rest(unit_ND: Floats, head_NH: Floats) -> Floats:
    """Return the lengths of what lies outside of the leading directions."""
    squared_N = np.einsum("nd,nd->n", unit_ND, unit_ND) - np.einsum("nh,nh->n", head_NH, head_NH)
    return np.sqrt(np.maximum(squared_N, 0))
