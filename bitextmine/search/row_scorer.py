"""Exact cosines of a few queries with the rows of one side: what a search that answers at once is made of.

The cosines have the bits that `rescore.Scorer` gives, so a score online is a mining job's. Nothing is prepared for it:
opening a side only maps its files.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.search.native import half_dot, has_half_dot
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import HALF_DOT_STEP, best_of, gather, inverse_length
from bitextmine.vectors import StoredVectors, unit_rows

_SLOW_ROWS = 8_192  # compared at a time
_MODEST = 1e9
_SLOW_SPARE = 32  # beyond k: float32 sums order what is nearly equal otherwise


class RowScorer:
    """Scores float16 queries, as `stored_form` makes them, against one side. Shared by threads."""

    def __init__(self, base: StoredVectors) -> None:
        """
        Raises:
            MismatchError: a file does not hold what it should.
        """
        self.base = base
        self._shards = [base.shard(number) for number in range(base.shard_count)]
        addresses = np.array([shard.ctypes.data for shard in self._shards], np.int64)
        compiled = has_half_dot() and base.dims % HALF_DOT_STEP == 0
        self._kernel_view = (addresses, base.shard_rows) if compiled else None

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """These rows as they are stored, (n, dims)."""
        found = np.empty((len(rows), self.base.dims), np.float16)
        for place, row in enumerate(rows.tolist()):
            found[place] = self._shards[row // self.base.shard_rows][row % self.base.shard_rows]
        return found

    def best(self, queries: NDArray[np.float16], ids: NDArray[np.int64], k: int) -> Neighbors:
        """The k best of each query's candidates, (n, c) distinct rows or MISSING."""
        self._check(queries)
        if self._kernel_view is None:
            return best_of(ids, self._slow_cosines(queries, ids), k)
        sims = np.empty(ids.shape, np.float32)
        _score(queries.ctypes.data, self._kernel_view, self.base.dims, np.ascontiguousarray(ids, np.int64), sims)
        return best_of(ids, sims, k)

    def scan(self, queries: NDArray[np.float16], k: int, rows: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest of each query among all rows, or among these (distinct, rising), by comparing with each."""
        self._check(queries)
        found = Neighbors.none(len(queries), k)
        count = len(self.base) if rows is None else len(rows)
        if not count:
            return found
        if self._kernel_view is None:
            return self._slow_scan(queries, k, np.arange(count) if rows is None else rows)
        wanted = np.empty(0, np.int64) if rows is None else np.ascontiguousarray(rows, np.int64)
        _scan(queries.ctypes.data, self._kernel_view, self.base.dims, count, wanted, found.ids, found.sims)
        return found

    def _check(self, queries: NDArray[np.float16]) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.base.dims or queries.dtype != np.float16:
            raise MismatchError(f"queries are float16 (n, {self.base.dims}), not {queries.dtype} {queries.shape}")
        if not queries.flags.c_contiguous:
            raise MismatchError("queries must be contiguous")

    def _slow_cosines(self, queries: NDArray[np.float16], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        left = gather(StoredVectors.of(queries), np.arange(len(queries)))
        right = gather(self.base, np.maximum(ids, 0).ravel()).reshape(*ids.shape, self.base.dims)
        return np.asarray(np.einsum("nd,ncd->nc", left, right), np.float32)

    def _slow_scan(self, queries: NDArray[np.float16], k: int, rows: NDArray[np.int64]) -> Neighbors:
        """For CPUs and vector lengths that the compiled loop does not do: candidates by float32, then exactly."""
        left = unit_rows(queries)
        best = Neighbors.none(len(queries), k + _SLOW_SPARE)
        for start in range(0, len(rows), _SLOW_ROWS):
            part = rows[start : start + _SLOW_ROWS]
            sims = left @ unit_rows(self._block(part)).T
            ids = np.broadcast_to(part, sims.shape)
            best = best_of(np.hstack([best.ids, ids]), np.hstack([best.sims, sims]), best.k)
        return self.best(queries, best.ids, k)

    def _block(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        numbers, inside = np.divmod(rows, self.base.shard_rows)
        parts = [self._shards[int(number)][inside[numbers == number]] for number in np.unique(numbers)]
        return np.concatenate(parts)


def compile_loops() -> None:
    """Compile what is not compiled yet, in seconds, or load it, so that the first search need not."""
    scorer = RowScorer(StoredVectors.of(np.ones((1, HALF_DOT_STEP), np.float16)))
    row = np.zeros(1, np.int64)
    query = scorer.take(row)
    scorer.scan(query, 1)
    scorer.scan(query, 1, row)
    scorer.best(query, row[:, None], 1)


def stored_form(vectors: NDArray[np.floating]) -> NDArray[np.float16]:
    """Vectors as they would be stored: of unit length, (n, dims) float16. What is float16 already is taken as stored.

    Raises:
        MismatchError: they are not two-dimensional, not of floating point, or not finite.
    """
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise MismatchError(f"queries are (n, dims) of floating point, not {vectors.shape} of {vectors.dtype}")
    if not np.isfinite(vectors).all():
        raise MismatchError("queries hold values that are not finite")
    if vectors.dtype == np.float16:
        return np.ascontiguousarray(vectors)
    return unit_rows(_of_modest_length(vectors)).astype(np.float16)


def _of_modest_length(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """The same directions, where squares of components would not fit into float32; what an encoder gives is left."""
    peaks = np.abs(vectors).max(axis=1, initial=0)
    unusual = (peaks > 0) & ((peaks > _MODEST) | (peaks < 1 / _MODEST))
    return vectors / np.where(unusual, peaks, 1)[:, None] if unusual.any() else vectors


@numba.njit(cache=True, nogil=True)
def _score(queries, base, dims, ids, sims):  # type: ignore[no-untyped-def]
    """`queries` is the address of the first; numba does not know float16."""
    addresses, shard_rows = base
    for i in range(len(ids)):
        query = queries + i * dims * 2
        inverse = inverse_length(query, dims)
        for j in range(ids.shape[1]):
            row = ids[i, j]
            if row < 0:
                sims[i, j] = -np.inf
            else:
                at = addresses[row // shard_rows] + (row % shard_rows) * dims * 2
                # the lengths first, as in `rescore`
                sims[i, j] = half_dot(query, at, np.int64(dims)) * (inverse * inverse_length(at, dims))


@numba.njit(cache=True, nogil=True)
def _scan(queries, base, dims, count, rows, best_ids, best_sims):  # type: ignore[no-untyped-def]
    """Fill lists that are empty with the best of `rows`, or of the first `count` rows where `rows` is empty."""
    n, k = best_ids.shape
    addresses, shard_rows = base
    inverse = np.empty(n, np.float32)
    for i in range(n):
        inverse[i] = inverse_length(queries + i * dims * 2, dims)
    for number in range(count):
        row = rows[number] if len(rows) else number
        at = addresses[row // shard_rows] + (row % shard_rows) * dims * 2
        length = inverse_length(at, dims)
        for i in range(n):
            sim = half_dot(queries + i * dims * 2, at, np.int64(dims)) * (inverse[i] * length)
            if best_ids[i, k - 1] != MISSING and sim <= best_sims[i, k - 1]:
                continue
            place = k - 1  # rows rise, so an equal one goes behind
            while place > 0 and (best_ids[i, place - 1] == MISSING or best_sims[i, place - 1] < sim):
                best_ids[i, place], best_sims[i, place] = best_ids[i, place - 1], best_sims[i, place - 1]
                place -= 1
            best_ids[i, place], best_sims[i, place] = row, sim
