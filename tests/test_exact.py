"""Exact search against the plain product of all vectors."""

import numpy as np
import pytest

from memory.index.exact import Exact


def unit(rng, many, wide, *, rank=None):
    """Return unit vectors; of low rank, they lie near a plane, as texts of one domain do."""
    flat = rng.standard_normal((many, rank or wide))
    made = flat @ rng.standard_normal((rank or wide, wide)) + 0.1 * rng.standard_normal(
        (many, wide)
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def keys(many):
    return [(f"i{n:05d}", 1) for n in range(many)]


@pytest.mark.parametrize(("wide", "rank"), [(384, 12), (384, None), (40, None), (3, None)])
@pytest.mark.parametrize("limit", [1, 10, 700])
def test_the_nearest_are_those_of_the_whole_product(wide, rank, limit):
    rng = np.random.default_rng(3)
    unit_ND = unit(rng, 700, wide, rank=rank)
    exact = Exact(keys(700), unit_ND)
    for query_D in unit(rng, 20, wide, rank=rank):
        cosine_N = unit_ND @ query_D
        best_K = np.sort(cosine_N)[::-1][:limit]
        found = exact.find(query_D, limit)
        assert cosine_N[[int(near.id[1:]) for near in found]] == pytest.approx(best_K, abs=1e-6)
        assert [near.similarity for near in found] == pytest.approx(best_K.tolist(), abs=1e-6)
        assert len({near.id for near in found}) == limit


def test_an_item_can_be_asked_for_by_name_however_far_it_is():
    unit_ND = unit(np.random.default_rng(5), 50, 16)
    exact = Exact(keys(50), unit_ND)
    farthest = int((unit_ND @ unit_ND[0]).argmin())
    found = exact.find(unit_ND[0], 2, also=[f"i{farthest:05d}", "nobody"])
    assert len(found) == 3
    assert found[0].id == "i00000"
    assert found[-1].id == f"i{farthest:05d}"
    assert np.array_equal(found[-1].vector_D, unit_ND[farthest])


def test_equal_vectors_come_in_the_order_of_their_ids():
    unit_ND = np.tile(unit(np.random.default_rng(1), 1, 8), (4, 1))
    exact = Exact([(id, 1) for id in "dbca"], unit_ND)
    assert [near.id for near in exact.find(unit_ND[0], 4)] == list("abcd")


def test_where_nothing_is_kept_nothing_is_near():
    empty = Exact([], np.empty((0, 0), dtype=np.float32))
    assert empty.find(np.ones(384, dtype=np.float32), 5, also=["i1"]) == []
