"""The exact search where 8 bits are least sure: many near-copies, and dimensions that are large and constant."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bitextmine.search import ExactOptions, Neighbors, search_exact
from bitextmine.vectors import StoredVectors

ROWS, COPIES, DIMS, K = 40_000, 5, 128, 4
SAMPLED = 2_000


def near_copies(seed: int) -> NDArray[np.float32]:
    """Groups of five whose cosines are about 0.999999, in random order."""
    rng = np.random.default_rng(seed)
    groups = np.random.default_rng(0).standard_normal((ROWS // COPIES, DIMS)).astype(np.float32)
    noise = rng.standard_normal((ROWS, DIMS)).astype(np.float32) * np.float32(0.001)
    return (np.repeat(groups, COPIES, axis=0) + noise)[rng.permutation(ROWS)]


def with_constant_dimensions(seed: int) -> NDArray[np.float32]:
    """Five dimensions hold most of the length of every row, as outlier dimensions of some encoders do."""
    rows = np.random.default_rng(seed).standard_normal((ROWS, DIMS)).astype(np.float32)
    rows[:, :5] = 30
    return rows


def worst_difference(found: Neighbors, queries: StoredVectors, base: StoredVectors) -> float:
    """Largest difference of the k cosines from those of a comparison with everything, in float64, of sampled rows."""
    rows = np.random.default_rng(1).choice(len(queries), SAMPLED, replace=False)
    halves = [side.shard(0).astype(np.float64) for side in (queries, base)]
    units = [half / np.linalg.norm(half, axis=1, keepdims=True) for half in (halves[0][rows], halves[1])]
    truth = -np.sort(-np.partition(units[0] @ units[1].T, -K, axis=1)[:, -K:], axis=1)
    return float(np.abs(found.sims[rows] - truth).max())


@pytest.mark.parametrize("make", [near_copies, with_constant_dimensions])
def test_the_cosines_are_those_of_float64(make) -> None:  # type: ignore[no-untyped-def]
    src, tgt = StoredVectors.of(make(1)), StoredVectors.of(make(2))
    forward, backward, report = search_exact(src, tgt, K, options=ExactOptions(threads=2))
    assert worst_difference(forward, src, tgt) <= 1e-6
    assert worst_difference(backward, tgt, src) <= 1e-6
    assert report.wrong == (0, 0)
