"""Exact cosines of candidates, from the stored float16 vectors, and the best k of them.

Every search ends here, so a cosine has the same bits whichever method found the pair, and in both directions.
"""

from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import half_dot, has_half_dot
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.vectors import StoredVectors

HALF_DOT_STEP = 64  # dimensions; vectors of other lengths take the slow way
_SLOW_ROWS = 256


class Scorer:
    """Computes cosines between rows of two sides. Keeps the float16 files mapped; reading them costs page cache."""

    def __init__(self, queries: StoredVectors, base: StoredVectors, threads: int = 1) -> None:
        self.queries, self.base, self.threads = queries, base, threads
        compiled = has_half_dot() and queries.dims % HALF_DOT_STEP == 0
        self._mapped = (_Mapped(queries), _Mapped(base)) if compiled else None

    def release(self) -> None:
        """Let go of the pages that were read: they count as this process's memory until then."""
        for mapped in self._mapped or ():
            mapped.release()

    def reversed(self) -> Scorer:
        """The same with the sides exchanged."""
        other = copy(self)
        other.queries, other.base = self.base, self.queries
        other._mapped = self._mapped and (self._mapped[1], self._mapped[0])
        return other

    def cosines(self, rows: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, c) float32 cosines of each query row with its candidates; -inf where a candidate is MISSING.

        Args:
            rows: (n,) rows of `queries`.
            ids: (n, c) rows of `base`.
        """
        sims = np.empty(ids.shape, np.float32)

        def score(part: slice) -> None:
            if self._mapped is None:
                sims[part] = _slow_cosines(self.queries, self.base, rows[part], ids[part])
            else:
                left, right = (mapped.kernel_view for mapped in self._mapped)
                _cosines(left, right, self.queries.dims, rows[part], ids[part], sims[part])

        size = max(-(-len(rows) // self.threads), 1)
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(score, [slice(start, start + size) for start in range(0, len(rows), size)]))
        return sims

    def best(self, rows: NDArray[np.int64], ids: NDArray[np.int64], k: int) -> Neighbors:
        """The k best of each row's candidates, by falling cosine, then by rising id; candidates must be distinct."""
        return best_of(ids, self.cosines(rows, ids), k)


def best_of(ids: NDArray[np.int64], sims: NDArray[np.float32], k: int) -> Neighbors:
    """The k of highest similarity in each row, equal ones by rising id, MISSING ones last; padded to k columns."""
    sims = np.where(ids == MISSING, np.float32(-np.inf), sims)
    if (lacking := k - ids.shape[1]) > 0:
        ids = np.pad(ids, ((0, 0), (0, lacking)), constant_values=MISSING)
        sims = np.pad(sims, ((0, 0), (0, lacking)), constant_values=-np.inf)
    best_ids, best_sims = np.empty((len(ids), k), np.int64), np.empty((len(ids), k), np.float32)
    _select(np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(sims, np.float32), best_ids, best_sims)
    return Neighbors(best_ids, best_sims)


class _Mapped:
    """One side's shards, kept mapped, as the kernels see them: addresses, rows a shard, inverse length of each row."""

    def __init__(self, vectors: StoredVectors) -> None:
        self._shards = [vectors.shard(number) for number in range(vectors.shard_count)]
        addresses = np.array([shard.ctypes.data for shard in self._shards], np.int64)
        inverse = np.empty(len(vectors), np.float32)
        _inverse_lengths(addresses, vectors.shard_rows, vectors.dims, inverse)
        self.kernel_view = (addresses, vectors.shard_rows, inverse)

    def release(self) -> None:
        for shard in self._shards:
            if isinstance(shard, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
                shard._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


@numba.njit(cache=True, nogil=True)
def inverse_length(at, dims):  # type: ignore[no-untyped-def]
    """1 / length of the float16 vector at an address, 0 of a zero vector."""
    square = half_dot(at, at, np.int64(dims))
    return np.float32(1) / np.sqrt(square) if square > 0 else np.float32(0)


@numba.njit(cache=True, nogil=True)
def _inverse_lengths(addresses, shard_rows, dims, inverse):  # type: ignore[no-untyped-def]
    for row in range(len(inverse)):
        inverse[row] = inverse_length(addresses[row // shard_rows] + (row % shard_rows) * dims * 2, dims)


@numba.njit(cache=True, nogil=True)
def _cosines(left, right, dims, rows, ids, sims):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        row = rows[i]
        query = left[0][row // left[1]] + (row % left[1]) * dims * 2
        for j in range(ids.shape[1]):
            other = ids[i, j]
            if other < 0:
                sims[i, j] = -np.inf
            else:
                candidate = right[0][other // right[1]] + (other % right[1]) * dims * 2
                # the lengths first: their product is the same in both directions
                sims[i, j] = half_dot(query, candidate, np.int64(dims)) * (left[2][row] * right[2][other])


@numba.njit(cache=True, nogil=True)
def _select(ids, sims, best_ids, best_sims):  # type: ignore[no-untyped-def]
    n, count = ids.shape
    k = best_ids.shape[1]
    for row in range(n):
        filled = 0
        for j in range(count):
            sim, identifier = sims[row, j], ids[row, j]
            if identifier < 0:
                continue
            place = min(filled, k)
            while place > 0 and (
                best_sims[row, place - 1] < sim
                or (best_sims[row, place - 1] == sim and best_ids[row, place - 1] > identifier)
            ):
                if place < k:
                    best_sims[row, place], best_ids[row, place] = best_sims[row, place - 1], best_ids[row, place - 1]
                place -= 1
            if place < k:
                best_sims[row, place], best_ids[row, place] = sim, identifier
            filled = min(filled + 1, k)
        for place in range(filled, k):
            best_sims[row, place], best_ids[row, place] = -np.inf, MISSING


def _slow_cosines(
    queries: StoredVectors, base: StoredVectors, rows: NDArray[np.int64], ids: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The same in float64 with NumPy, for CPUs and vector lengths that the compiled loop does not do."""
    sims = np.empty(ids.shape, np.float32)
    for start in range(0, len(rows), _SLOW_ROWS):
        part = slice(start, start + _SLOW_ROWS)
        left = gather(queries, rows[part])
        right = gather(base, np.maximum(ids[part], 0).ravel()).reshape(*ids[part].shape, -1)
        sims[part] = np.einsum("nd,ncd->nc", left, right)
    return np.where(ids == MISSING, np.float32(-np.inf), sims)


def gather(vectors: StoredVectors, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit rows in float64, (n, dims)."""
    found = np.empty((len(rows), vectors.dims), np.float64)
    numbers = rows // vectors.shard_rows
    for number in np.unique(numbers).tolist():
        here = numbers == number
        found[here] = vectors.shard(number)[rows[here] - number * vectors.shard_rows]
    lengths = np.sqrt(np.einsum("nd,nd->n", found, found))
    return np.asarray(found / np.where(lengths > 0, lengths, 1)[:, None])
