"""The search over cells: with all cells looked into it is exact; with fewer it says what it misses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.search import search_exact
from bitextmine.search.ivf import IvfOptions, cell_count, search_ivf
from bitextmine.search.recall import wilson_interval
from bitextmine.vectors import StoredVectors
from tests.property.test_exact_properties import Sides, assert_nearest, random_sides, small_integers


@settings(deadline=None, max_examples=75)
@given(
    sides=small_integers(least=1) | random_sides(),
    k=st.integers(1, 9),
    cells=st.integers(1, 6),
    threads=st.integers(1, 3),
    portable=st.booleans(),
)
def test_looking_into_every_cell_finds_every_neighbour(
    sides: Sides, k: int, cells: int, threads: int, portable: bool
) -> None:
    src, tgt = sides
    cells = min(cells, len(src) + len(tgt))
    options = IvfOptions(threads=threads, cells=cells, probes=cells, portable=portable or None)
    forward, backward, report = search_ivf(StoredVectors.of(src), StoredVectors.of(tgt), k, options=options)
    assert report.computed == pytest.approx(1)
    assert report.recall == 1
    if max(len(src), len(tgt)) <= k + 8:  # all are candidates; else near-copies may lose to the 8 bits
        assert_nearest(forward, src, tgt, k)
        assert_nearest(backward, tgt, src, k)


def clustered(n: int, seed: int, dims: int = 64) -> StoredVectors:
    """Rows around 50 centres."""
    centres = np.random.default_rng(0).standard_normal((50, dims))
    rng = np.random.default_rng(seed)
    return StoredVectors.of(centres[rng.integers(0, 50, n)] + 0.5 * rng.standard_normal((n, dims)))


def test_few_cells_find_the_neighbours_of_clustered_rows_and_the_recall_is_the_true_one() -> None:
    src, tgt = clustered(3000, 1), clustered(2500, 2)
    forward, backward, report = search_ivf(src, tgt, 4, options=IvfOptions(cells=64, target_recall=0.95))
    exact = search_exact(src, tgt, 4)
    hits = [
        len(set(found) & set(true))
        for mine, truth in ((forward, exact[0]), (backward, exact[1]))
        for found, true in zip(mine.ids.tolist(), truth.ids.tolist(), strict=True)
    ]
    recall = sum(hits) / (4 * len(hits))
    assert report.probes < 64
    assert report.computed < 0.6
    assert recall > 0.9
    assert report.recall_low - 0.01 <= recall <= report.recall_high + 0.01


def test_a_higher_target_looks_into_more_cells() -> None:
    src, tgt = clustered(2000, 3), clustered(2000, 4)
    reports = [search_ivf(src, tgt, 4, options=IvfOptions(cells=64, target_recall=t))[2] for t in (0.5, 0.9, 0.999)]
    assert [report.probes for report in reports] == sorted(report.probes for report in reports)
    assert reports[0].recall < reports[2].recall


@pytest.mark.parametrize("threads", [2, 3])
def test_the_result_does_not_depend_on_the_number_of_threads(threads: int) -> None:
    src, tgt = clustered(1500, 5), clustered(1200, 6)
    one, more = (search_ivf(src, tgt, 4, options=IvfOptions(threads=t, cells=32, probes=5)) for t in (1, threads))
    for direction in range(2):
        np.testing.assert_array_equal(one[direction].ids, more[direction].ids)
        np.testing.assert_array_equal(one[direction].sims, more[direction].sims)
    assert one[2] == more[2]


def test_found_cosines_are_exact_and_never_of_a_missing_row() -> None:
    src, tgt = clustered(400, 7), clustered(300, 8)
    forward, backward, _ = search_ivf(src, tgt, 6, options=IvfOptions(cells=100, probes=1))
    for found, queries, base in ((forward, src, tgt), (backward, tgt, src)):
        cosines = queries.block(0, len(queries)).astype(np.float64) @ base.block(0, len(base)).astype(np.float64).T
        rows, columns = np.nonzero(found.found)
        np.testing.assert_allclose(found.sims[rows, columns], cosines[rows, found.ids[rows, columns]], atol=1e-6)
        assert not found.found.all(), "one of a hundred cells does not hold six rows for everyone"


def test_cells_are_never_none() -> None:
    assert [cell_count(rows) for rows in (0, 1, 63, 640, 10_000, 300_000)] == [1, 1, 1, 10, 32, 512]


def test_wilsons_interval() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    low, high = wilson_interval(99, 100)
    assert (round(low, 4), round(high, 4)) == (0.9455, 0.9982)


def test_empty_or_different_sides_are_refused() -> None:
    some = StoredVectors.of(np.ones((3, 4)))
    with pytest.raises(ParameterError):
        search_ivf(some, StoredVectors.of(np.ones((0, 4))), 1)
    with pytest.raises(MismatchError):
        search_ivf(some, StoredVectors.of(np.ones((3, 5))), 1)
