"""nearest_neighbors against the formula: all cosines, sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bitextmine.embeddings import unit_rows
from bitextmine.errors import MismatchError
from bitextmine.search import MISSING, Neighbors, nearest_neighbors

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rows:
    """Vectors in memory; remembers the largest block that was asked for."""

    matrix: NDArray[np.float32]
    blocks: list[int]

    @property
    def dims(self) -> int:
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.matrix)

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        assert 0 <= start < stop <= len(self)
        self.blocks.append(stop - start)
        return self.matrix[start:stop]


def rows_of(matrix: NDArray[np.generic]) -> Rows:
    return Rows(unit_rows(np.asarray(matrix, np.float32)), [])


@st.composite
def two_sides(draw: st.DrawFn, least: int = 0, most: int = 12) -> tuple[Rows, Rows]:
    """Small vectors of small integers: duplicates, opposite and zero vectors are common."""
    dims = draw(st.integers(1, 5))
    return tuple(
        rows_of(draw(arrays(np.int8, (draw(st.integers(least, most)), dims), elements=st.integers(-2, 2))))
        for _ in range(2)
    )  # type: ignore[return-value]


@st.composite
def random_sides(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """More rows than FAISS's threshold for matrix products, some of them copies or zero."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sides = []
    for _ in range(2):
        matrix = rng.standard_normal((draw(st.integers(1, 40)), 16))
        matrix[rng.random(len(matrix)) < 0.1] = 0
        sides.append(rows_of(matrix[rng.integers(0, len(matrix), len(matrix))]))
    return sides[0], sides[1]


def assert_nearest(found: Neighbors, queries: Rows, base: Rows, k: int) -> None:
    """The slow twin: every cosine written out in float64, the k largest by (falling cosine, rising id)."""
    assert found.ids.shape == found.sims.shape == (len(queries), k)
    assert (found.ids.dtype, found.sims.dtype) == (np.int64, np.float32)
    cosines = queries.matrix.astype(np.float64) @ base.matrix.astype(np.float64).T
    count = min(k, len(base))
    for row, cosine in enumerate(cosines):
        order = sorted(range(len(base)), key=lambda i: (-cosine[i], i))
        ids = found.ids[row].tolist()
        assert ids[count:] == [MISSING] * (k - count)
        assert len(set(ids[:count])) == count
        np.testing.assert_allclose(found.sims[row, :count], cosine[order[:count]], atol=TOLERANCE)
        np.testing.assert_allclose(found.sims[row, :count], cosine[ids[:count]], atol=TOLERANCE)
        for place, wanted in enumerate(order[:count]):
            rivals = np.abs(cosine - cosine[wanted]) < 2 * TOLERANCE
            if rivals.sum() == 1:
                assert ids[place] == wanted


@settings(deadline=None)
@given(sides=two_sides() | random_sides(), k=st.integers(1, 15))
def test_the_nearest_are_those_of_the_sorted_cosines(sides: tuple[Rows, Rows], k: int) -> None:
    assert_nearest(nearest_neighbors(*sides, k), *sides, k)


@settings(deadline=None, max_examples=50)
@given(
    sides=two_sides() | random_sides(),
    k=st.integers(1, 15),
    query_rows=st.integers(1, 13),
    base_rows=st.integers(1, 13),
)
def test_blocks_of_any_size_give_the_same(sides: tuple[Rows, Rows], k: int, query_rows: int, base_rows: int) -> None:
    queries, base = sides
    found = nearest_neighbors(queries, base, k, query_rows=query_rows, base_rows=base_rows)
    assert_nearest(found, queries, base, k)
    assert max(queries.blocks, default=0) <= query_rows
    assert max(base.blocks, default=0) <= base_rows


@settings(deadline=None)
@given(chosen=st.lists(st.integers(0, 8), max_size=20), k=st.integers(1, 8), base_rows=st.integers(1, 21))
def test_equal_similarities_come_by_rising_id(chosen: list[int], k: int, base_rows: int) -> None:
    axes = np.concatenate([np.eye(4), -np.eye(4), np.zeros((1, 4))]).astype(np.float32)  # their cosines are exact
    queries, base = rows_of(axes), rows_of(axes[chosen].reshape(-1, 4))
    found = nearest_neighbors(queries, base, k, base_rows=base_rows)
    for ids, sims, cosines in zip(found.ids, found.sims, queries.matrix @ base.matrix.T, strict=True):
        known = ids != MISSING
        assert sorted(cosines.tolist(), reverse=True)[:k] == sims[known].tolist()
        keys = list(zip((-cosines[ids[known]]).tolist(), ids[known].tolist(), strict=True))
        assert keys == sorted(keys)
        if known.any():
            assert set(np.flatnonzero(cosines > sims[known][-1])) <= set(ids.tolist())


@settings(deadline=None)
@given(sides=two_sides(1, 1), k=st.integers(1, 4))
def test_a_single_row_each_way_finds_the_other(sides: tuple[Rows, Rows], k: int) -> None:
    found = nearest_neighbors(*sides, k)
    assert found.found.sum(axis=1).tolist() == [1]
    assert found.ids[0, 0] == 0


@pytest.mark.parametrize(("queries", "base"), [(0, 0), (0, 3), (3, 0)])
def test_an_empty_side_gives_nothing_found(queries: int, base: int) -> None:
    found = nearest_neighbors(rows_of(np.ones((queries, 4))), rows_of(np.ones((base, 4))), 2)
    assert found.ids.shape == (queries, 2)
    assert not found.found.any()


def test_fewer_rows_than_k_leave_the_rest_missing() -> None:
    found = nearest_neighbors(rows_of(np.eye(3)), rows_of(np.eye(3)[:2]), 4)
    assert found.ids.tolist() == [[0, 1, MISSING, MISSING], [1, 0, MISSING, MISSING], [0, 1, MISSING, MISSING]]
    assert found.found.tolist() == [[True, True, False, False]] * 3


def test_a_zero_vector_has_similarity_zero_to_everything_and_is_no_neighbour_of_note() -> None:
    found = nearest_neighbors(rows_of(np.zeros((1, 3))), rows_of(np.eye(3)), 3)
    assert found.sims.tolist() == [[0.0, 0.0, 0.0]]
    assert nearest_neighbors(rows_of(np.eye(3)[:1]), rows_of([[0, 0, 0], [1, 0, 0]]), 1).ids.tolist() == [[1]]


@pytest.mark.parametrize("k", [1, 8, 100, 128])
def test_many_copies_of_one_vector_are_all_found_once(k: int) -> None:
    copies = rows_of(np.repeat(np.eye(4), 40, axis=0))
    found = nearest_neighbors(rows_of(np.eye(4)), copies, k, base_rows=64)
    for row, (ids, sims) in enumerate(zip(found.ids, found.sims, strict=True)):
        assert len(set(ids.tolist())) == k
        assert (sims == 1).sum() == min(k, 40)
        assert set(ids[:40].tolist()) <= set(range(40 * row, 40 * row + 40))


@pytest.mark.parametrize("base_rows", [1, 2, 100])
def test_what_faiss_cannot_compare_is_missing_in_every_block(base_rows: int) -> None:
    spoilt = Rows(np.array([[1, 0], [0, 1], [np.nan, 0], [1, 0]], np.float32), [])
    found = nearest_neighbors(spoilt, spoilt, 4, base_rows=base_rows)
    assert found.ids.tolist() == [[0, 3, 1, MISSING], [1, 0, 3, MISSING], [MISSING] * 4, [0, 3, 1, MISSING]]


def test_sides_of_different_dimensions_are_refused() -> None:
    with pytest.raises(MismatchError, match="4 and of 5 dimensions"):
        nearest_neighbors(rows_of(np.ones((2, 4))), rows_of(np.ones((2, 5))), 1)


@pytest.mark.parametrize(
    "spoil", [lambda rows: rows.astype(np.float64), np.asfortranarray], ids=["float64", "fortran order"]
)
def test_vectors_that_faiss_would_misread_are_refused(
    spoil: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> None:
    base = Rows(spoil(unit_rows(np.arange(6.0).reshape(2, 3))), [])
    with pytest.raises(MismatchError, match="contiguous float32"):
        nearest_neighbors(rows_of(np.eye(3)), base, 1)


@settings(max_examples=20, deadline=None)
@given(sides=random_sides(), rows=st.integers(1, 20))
def test_progress_counts_every_pair_of_blocks(sides: tuple[Rows, Rows], rows: int) -> None:
    seen: list[tuple[str, int, int | None]] = []
    nearest_neighbors(
        *sides, 2, query_rows=rows, base_rows=rows, stage="s", progress=lambda *report: seen.append(report)
    )
    total = -(-len(sides[0]) // rows) * -(-len(sides[1]) // rows)
    assert seen == [("s", done, total) for done in range(1, total + 1)]
