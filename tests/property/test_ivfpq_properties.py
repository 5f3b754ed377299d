"""ivfpq against the formula: with every cell probed and enough candidates, the result is that of float32 search."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.search.floats import search_rows
from bitextmine.search.index_shards import build_index
from bitextmine.search.index_spec import CodeKind, IndexSpec, choose_spec, make_spec
from bitextmine.search.ivfpq import IndexSearcher, candidate_count, search_ivfpq
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer
from bitextmine.vectors import StoredVectors, unit_rows

TOLERANCE = 2e-6


@st.composite
def small_sides(draw: st.DrawFn) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Small integers in few dimensions: duplicates, ties, opposite and zero vectors are common."""
    dims = draw(st.integers(1, 5))
    sides = [
        draw(arrays(np.int8, (draw(st.integers(0, 12)), dims), elements=st.integers(-2, 2))).astype(np.float16)
        for _ in range(2)
    ]
    return sides[0], sides[1]


@st.composite
def random_sides(draw: st.DrawFn, least: int = 1) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """At most 60 rows of 64 dimensions (those of the compiled scorer), some of them copies, some zero."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sides = []
    for _ in range(2):
        matrix = rng.standard_normal((draw(st.integers(least, 60)), 64))
        matrix[rng.random(len(matrix)) < 0.1] = 0
        sides.append(matrix[rng.integers(0, len(matrix), len(matrix))].astype(np.float16))
    return sides[0], sides[1]


def all_cells(kind: CodeKind, dims: int, nlist: int, shard_rows: int) -> IndexSpec:
    return make_spec(kind, dims, nlist=nlist, nprobe=nlist, training_rows=64, shard_rows=shard_rows)


def assert_nearest(found: Neighbors, queries: NDArray[np.float16], base: NDArray[np.float16], k: int) -> None:
    """The slow twin: every cosine written out in float64, the k largest by (falling cosine, rising id)."""
    assert found.ids.shape == found.sims.shape == (len(queries), k)
    assert (found.ids.dtype, found.sims.dtype) == (np.int64, np.float32)
    cosines = unit_rows(queries).astype(np.float64) @ unit_rows(base).astype(np.float64).T
    count = min(k, len(base))
    for row, cosine in enumerate(cosines):
        order = sorted(range(len(base)), key=lambda i: (-cosine[i], i))
        ids = found.ids[row].tolist()
        assert ids[count:] == [MISSING] * (k - count)
        assert len(set(ids[:count])) == count
        np.testing.assert_allclose(found.sims[row, :count], cosine[order[:count]], atol=TOLERANCE)
        np.testing.assert_allclose(found.sims[row, :count], cosine[ids[:count]], atol=TOLERANCE)


def check(
    kind: CodeKind, sides: tuple[NDArray[np.float16], NDArray[np.float16]], k: int, cells: tuple[int, int]
) -> None:
    src, tgt = (StoredVectors.of(side) for side in sides)
    assert max(map(len, sides)) <= candidate_count(k)
    with TemporaryDirectory() as folder:
        forward, backward, report = search_ivfpq(
            src,
            tgt,
            k,
            store=ArtifactStore(Path(folder)),
            spec=all_cells(kind, src.dims, *cells),
            memory_bytes=1 << 24,
            src_digest="src",
            tgt_digest="tgt",
        )
    assert_nearest(forward, *sides, k)
    assert_nearest(backward, *reversed(sides), k)
    assert [quality.after.value for quality in report.quality] == [1.0, 1.0]
    scorer = Scorer(src, tgt)
    for found, one_way in ((forward, scorer), (backward, scorer.reversed())):
        if not len(one_way.base):
            continue
        truth = search_rows(one_way, np.arange(len(found)), k)
        np.testing.assert_array_equal(found.ids, truth.ids)
        np.testing.assert_array_equal(found.sims, truth.sims)


CELLS = st.tuples(st.integers(1, 4), st.integers(3, 70))  # and rows a shard


@settings(deadline=None, max_examples=40)
@given(sides=small_sides() | random_sides(), k=st.integers(1, 15), cells=CELLS)
def test_with_all_cells_the_nearest_are_those_of_the_formula(
    sides: tuple[NDArray[np.float16], NDArray[np.float16]], k: int, cells: tuple[int, int]
) -> None:
    check(CodeKind.RABITQ, sides, k, cells)


@settings(deadline=None, max_examples=20)
@given(sides=random_sides(least=40), k=st.integers(1, 15), cells=CELLS)
def test_so_they_are_by_fast_scan(
    sides: tuple[NDArray[np.float16], NDArray[np.float16]], k: int, cells: tuple[int, int]
) -> None:
    """Which leaves out a vector whose every part is the worst of all: one of the nearest only if there are few."""
    check(CodeKind.PQ_FASTSCAN, sides, k, cells)


@settings(deadline=None, max_examples=15)
@given(sides=small_sides() | random_sides(), k=st.integers(1, 15), shard_rows=st.integers(3, 70))
def test_online_search_of_all_cells_finds_the_nearest(
    sides: tuple[NDArray[np.float16], NDArray[np.float16]], k: int, shard_rows: int
) -> None:
    queries, base = sides
    spec = all_cells(CodeKind.RABITQ, base.shape[1], 3, shard_rows)
    with TemporaryDirectory() as folder:
        vectors = StoredVectors.of(base)
        index = build_index(vectors, "base", spec, ArtifactStore(Path(folder)))
        found = IndexSearcher(index, vectors).search(queries.astype(np.float32), k)
    assert_nearest(found, queries, base, k)


@settings(deadline=None)
@given(
    rows=st.integers(0, 10**9), dims=st.integers(1, 2048), memory=st.integers(1 << 20, 1 << 40), gpus=st.integers(0, 8)
)
def test_a_chosen_index_fits_its_rows_and_its_memory(rows: int, dims: int, memory: int, gpus: int) -> None:
    spec = choose_spec(rows, dims, memory, gpus)
    assert 1 <= spec.nprobe <= spec.nlist
    assert spec.training_rows <= max(rows, 1)
    assert spec.training_rows * dims * 4 <= memory // 4
    assert spec.nlist == 1 or spec.training_rows >= 16 * spec.nlist
    assert f"IVF{spec.nlist}," in spec.factory
    assert spec.kind in ({CodeKind.PQ} if gpus else {CodeKind.RABITQ, CodeKind.PQ_FASTSCAN})
