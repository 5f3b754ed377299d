"""The cheapest way through two documents by dynamic programming, within a band of it."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.alignment.costs import Costs

_SAME = 1 - 1e-5  # from this cosine on blocks cost nothing, or noise would decide between ways of no cost
Steps = NDArray[np.int64]  # (kinds, 2): how many sentences of either side a step takes


def steps_of(largest: int) -> Steps:
    """All steps of up to `largest` sentences in total, of at least one on either side, and the two that skip one."""
    pairs = [(a, b) for a in range(1, largest) for b in range(1, largest) if a + b <= max(largest, 2)]
    return np.array([(1, 0), (0, 1), *sorted(pairs, key=lambda pair: (sum(pair), pair))], np.int64)


def cheapest_path(
    costs: Costs, steps: Steps, low: NDArray[np.int64], high: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The cheapest way from (0, 0) to (n, m), and what each of its steps costs.

    Args:
        steps: the kinds of steps; skipping on either side must be among them.
        low, high: after i source sentences only low[i] to high[i] target sentences are looked at, (n + 1,) each,
            neither ever falling; low[0] is 0, high[n] is m, and bands of neighbouring rows overlap.

    Returns:
        The points on the way, (length + 1, 2) numbers of sentences done, and the steps' costs, (length,).
    """
    most = max(int(steps.max()), 1)
    vectors, norms = (costs.src[:most], costs.tgt[:most]), (costs.src_norm[:most], costs.tgt_norm[:most])
    kinds, spent = _fill(vectors, norms, costs.skip, steps, low, high)
    return _walk_back(kinds, spent, steps, low)


@numba.njit(cache=True)
def _fill(
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    norms: tuple[NDArray[np.float32], NDArray[np.float32]],
    skip: float,
    steps: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """The kind of the last step to each point of the band (-1 where none leads there), and the cost to get there."""
    (src, tgt), (src_norm, tgt_norm) = vectors, norms
    rows, dims = len(low), src.shape[2]
    width = (high - low).max() + 1
    spent = np.full((rows, width), np.inf)
    kinds = np.full((rows, width), -1, np.int8)
    spent[0, 0] = 0.0
    for i in range(rows):
        for j in range(low[i], high[i] + 1):
            for kind in range(len(steps)):
                a, b = steps[kind]
                before_i, before_j = i - a, j - b
                if before_i < 0 or before_j < low[before_i] or before_j > high[before_i]:
                    continue
                cost = spent[before_i, before_j - low[before_i]]
                if cost == np.inf:
                    continue
                if a == 0 or b == 0:
                    cost += skip
                else:
                    dot = np.float32(0)
                    for d in range(dims):
                        dot += src[a - 1, i - 1, d] * tgt[b - 1, j - 1, d]
                    norm = src_norm[a - 1, i - 1] + tgt_norm[b - 1, j - 1]
                    if dot < _SAME:
                        cost += 2 * a * b * (1.0 - dot) / norm
                if cost < spent[i, j - low[i]]:
                    spent[i, j - low[i]] = cost
                    kinds[i, j - low[i]] = kind
    return kinds, spent


def _walk_back(
    kinds: NDArray[np.int8], spent: NDArray[np.float64], steps: Steps, low: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    i = len(low) - 1
    j = int(low[i]) + int(np.flatnonzero(np.isfinite(spent[i]))[-1])  # the band's last point is (n, m)
    points, at = [(i, j)], [float(spent[i, j - low[i]])]
    while i or j:
        a, b = steps[kinds[i, j - low[i]]]
        i, j = i - int(a), j - int(b)
        points.append((i, j))
        at.append(float(spent[i, j - low[i]]))
    return np.array(points[::-1], np.int64), np.diff(np.array(at[::-1]))
