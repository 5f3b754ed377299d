"""Scanning and rescoring for online search against the plain formula, and against what a mining job computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer
from bitextmine.search.row_scorer import RowScorer, stored_form
from bitextmine.vectors import StoredVectors

TOLERANCE = 2e-6


@st.composite
def sides(draw: st.DrawFn) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Queries and rows as they are stored; some rows are copies, some are zero. Lengths of 64 go the compiled way."""
    dims = draw(st.sampled_from([3, 32, 64, 128]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    queries = stored_form(rng.standard_normal((draw(st.integers(0, 5)), dims)).astype(np.float32))
    base = stored_form(rng.standard_normal((draw(st.integers(1, 60)), dims)).astype(np.float32))
    for copy in draw(st.lists(st.integers(0, len(base) - 1), max_size=20)):
        base[copy] = base[0]
    for zero in draw(st.lists(st.integers(0, len(base) - 1), max_size=3)):
        base[zero] = 0
    return queries, base


def plain_cosines(queries: NDArray[np.float16], base: NDArray[np.float16]) -> NDArray[np.float64]:
    left, right = queries.astype(np.float64), base.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)[None]
    return np.divide(left @ right.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def assert_nearest(found: Neighbors, cosines: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> None:
    count = min(k, len(rows))
    for row, (ids, sims) in enumerate(zip(found.ids, found.sims, strict=True)):
        assert (ids[count:] == MISSING).all()
        assert len(set(ids[:count].tolist())) == count
        assert set(ids[:count].tolist()) <= set(rows.tolist())
        best = np.sort(cosines[row, rows])[::-1][:count]
        np.testing.assert_allclose(sims[:count], best, atol=TOLERANCE)
        np.testing.assert_allclose(sims[:count], cosines[row, ids[:count]], atol=TOLERANCE)
        order = np.lexsort((ids[:count], -sims[:count]))
        assert order.tolist() == list(range(count))  # falling, equal ones by rising id


@settings(deadline=None)
@given(sides=sides(), k=st.integers(1, 70), shard_rows=st.integers(1, 70), share=st.floats(0, 1))
def test_a_scan_finds_the_nearest(
    sides: tuple[NDArray[np.float16], NDArray[np.float16]], k: int, shard_rows: int, share: float
) -> None:
    queries, base = sides
    scorer = RowScorer(sharded(base, shard_rows))
    cosines = plain_cosines(queries, base)
    found = scorer.scan(queries, k)
    assert_nearest(found, cosines, np.arange(len(base)), k)
    of_all = scorer.best(queries, np.tile(np.arange(len(base)), (len(queries), 1)), k)
    assert np.array_equal(found.ids, of_all.ids)  # of equal ones those with the smallest ids
    assert np.array_equal(found.sims, of_all.sims)
    some = np.flatnonzero(np.random.default_rng(len(base)).random(len(base)) < share)
    assert_nearest(scorer.scan(queries, k, some), cosines, some, k)


@settings(deadline=None)
@given(sides=sides(), shard_rows=st.integers(1, 70))
def test_cosines_have_the_bits_of_a_mining_job(
    sides: tuple[NDArray[np.float16], NDArray[np.float16]], shard_rows: int
) -> None:
    queries, base = sides
    vectors = sharded(base, shard_rows)
    ids = np.tile(np.arange(len(base)), (len(queries), 1))
    job = Scorer(StoredVectors.of(queries), vectors).best(np.arange(len(queries)), ids, len(base))
    online = RowScorer(vectors).best(queries, ids, len(base))
    assert np.array_equal(job.ids, online.ids)
    assert np.array_equal(job.sims, online.sims)


@settings(deadline=None)
@given(sides=sides())
def test_rows_are_taken_as_they_are_stored(sides: tuple[NDArray[np.float16], NDArray[np.float16]]) -> None:
    _, base = sides
    rows = np.arange(len(base))[::-2].copy()
    assert np.array_equal(RowScorer(sharded(base, 7)).take(rows), base[rows])


def sharded(base: NDArray[np.float16], shard_rows: int) -> StoredVectors:
    shards = [np.ascontiguousarray(base[at : at + shard_rows]) for at in range(0, len(base), shard_rows)]
    return StoredVectors(shards, len(base), base.shape[1], shard_rows)


@pytest.mark.parametrize(
    "queries",
    [
        np.ones((1, 3), np.float16),
        np.ones(4, np.float16),
        np.ones((1, 4), np.float32),
        np.asfortranarray(np.ones((2, 4), np.float16)),
    ],
)
def test_queries_of_another_kind_are_refused(queries: NDArray[np.floating]) -> None:
    scorer = RowScorer(StoredVectors.of(np.eye(4, dtype=np.float16)))
    with pytest.raises(MismatchError):
        scorer.scan(queries, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "vectors",
    [np.ones(4, np.float32), np.ones((1, 4), np.int64), np.array([[np.nan, 1]]), np.array([[np.inf, 1]])],
)
def test_what_cannot_be_stored_is_refused(vectors: NDArray[np.floating]) -> None:
    with pytest.raises(MismatchError):
        stored_form(vectors)


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1.0, 1e30, 1e300])
def test_a_vector_of_any_length_is_stored_as_its_direction(length: float) -> None:
    vectors = np.array([[3 * length, 4 * length], [0, 0], [-0.6, 0.8]])
    np.testing.assert_allclose(stored_form(vectors), [[0.6, 0.8], [0, 0], [-0.6, 0.8]], atol=1e-3)
