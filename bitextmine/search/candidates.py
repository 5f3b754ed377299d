"""Candidates for queries: the true best by approximate score over all shards of an index.

What decides them is the query, the trained centroids and the codes: the cells of a query are found once and used for
every shard, lists are ordered by (falling score, rising id), and where equal scores run over the end of a shard's
list, more are asked for until the last place is decided. So shards and their number make no difference. (Two numbers
of threads may round a query's distance to a centroid differently in the last bit, which could exchange the last of
its cells; exact rescoring hides that unless a true neighbour sits in just that cell.)
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.search.index_shards import ShardedIndex
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import best_of

_SPARE = 16  # asked for beyond what is wanted, so that ties at the end are seldom met
_LIST_BYTES = 64 << 20  # of the longer lists that settle ties
_MORE = 8


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries ready for every shard: rotated if the index is, and the cells to search."""

    vectors: NDArray[np.float32]  # (n, d)
    nprobe: int
    cells: NDArray[np.int64]  # (n, nprobe); (n, 0) where the device finds them itself
    cell_scores: NDArray[np.float32]  # the same shape
    zero: NDArray[np.bool_]  # (n,) queries of length zero: every vector is as near

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Queries:
        return Queries(self.vectors[rows], self.nprobe, self.cells[rows], self.cell_scores[rows], self.zero[rows])

    def __len__(self) -> int:
        return len(self.vectors)


class Device(Protocol):
    """Where shards are searched."""

    @property
    def parallel(self) -> int:
        """Shards that can be searched at the same time."""

    @property
    def most(self) -> int:
        """The longest list that can be asked for."""

    def prepare(self, vectors: NDArray[np.float32], nprobe: int) -> Queries: ...

    def search(self, number: int, queries: Queries, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores, falling, and ids within the shard, (n, count) each; which of equal ones are left out is open."""


class CpuDevice:
    """FAISS on the CPU; the threads are those of OpenMP."""

    parallel = 1
    most = 1 << 40

    def __init__(self, index: ShardedIndex) -> None:
        self._index = index

    def prepare(self, vectors: NDArray[np.float32], nprobe: int) -> Queries:
        trained = self._index.trained()
        rows = _checked(vectors, self._index.spec.dims)
        zero = zero_rows(rows)
        for transform in trained.transforms:
            rows = transform.apply(rows)
        scores, cells = trained.ivf.quantizer.search(rows, nprobe)
        cells, scores = np.ascontiguousarray(cells, np.int64), np.ascontiguousarray(scores, np.float32)
        return Queries(rows, nprobe, cells, scores, zero)

    def search(self, number: int, queries: Queries, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        shard = self._index.shard(number)
        scores, ids = np.empty((len(queries), count), np.float32), np.empty((len(queries), count), np.int64)
        vectors, cells = _checked(queries.vectors, shard.ivf.d), np.ascontiguousarray(queries.cells, np.int64)
        cell_scores = np.ascontiguousarray(queries.cell_scores, np.float32)
        # the wrapper with checks does not pass parameters on, and would want nprobe set in the shared index
        shard.ivf.search_preassigned_c(
            len(queries),
            faiss.swig_ptr(vectors),
            count,
            faiss.swig_ptr(cells),
            faiss.swig_ptr(cell_scores),
            faiss.swig_ptr(scores),
            faiss.swig_ptr(ids),
            False,
            probing(queries.nprobe),
        )
        return scores, ids


def probing(nprobe: int) -> Any:
    """Parameters of one search in FAISS."""
    parameters = faiss.SearchParametersIVF()
    parameters.nprobe = int(nprobe)
    return parameters


def zero_rows(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    zero: NDArray[np.bool_] = np.all(vectors == 0, axis=1)
    return zero


def check_nprobe(index: ShardedIndex, nprobe: int) -> int:
    if not 1 <= nprobe <= index.spec.nlist:
        raise ParameterError(f"nprobe is {nprobe}; it must be between 1 and the {index.spec.nlist} cells")
    return int(nprobe)


def add_shards(
    device: Device, index: ShardedIndex, shards: Iterable[int], queries: Queries, best: Neighbors
) -> Neighbors:
    """`best` and what these shards hold, (n, count): ids in the whole index, approximate scores as sims."""
    search = partial(_search_shard, device, index, queries, best.k)
    if device.parallel == 1:
        found = map(search, shards)
        return _merged(best, found)
    with ThreadPoolExecutor(device.parallel) as pool:
        return _merged(best, pool.map(search, shards))


def _merged(best: Neighbors, found: Iterable[Neighbors]) -> Neighbors:
    for more in found:
        best = best_of(np.hstack([best.ids, more.ids]), np.hstack([best.sims, more.sims]), best.k)
    return best


def _search_shard(device: Device, index: ShardedIndex, queries: Queries, count: int, number: int) -> Neighbors:
    start = number * index.spec.shard_rows
    rows = min(index.spec.shard_rows, index.rows - start)
    found = _settled(device, number, queries, count, min(count + _SPARE, device.most, rows), rows)
    found.ids[found.found] += start
    if queries.zero.any():  # fast scan divides zero by zero for them
        first = np.full(count, MISSING, np.int64)
        first[: min(count, rows)] = np.arange(start, start + min(count, rows))
        found.ids[queries.zero], found.sims[queries.zero] = first, np.where(first == MISSING, -np.inf, 0)
    return found


def _settled(device: Device, number: int, queries: Queries, count: int, asked: int, rows: int) -> Neighbors:
    """The best `count` by (score, id); queries whose list of `asked` ends in a tie with the last wanted ask again."""
    scores, ids = device.search(number, queries, asked)
    best = best_of(ids, scores, count)
    if asked < min(rows, device.most):
        tied = np.flatnonzero((ids[:, -1] != MISSING) & (scores.min(axis=1) >= best.sims[:, -1]))
        longer = min(asked * _MORE, rows, device.most)
        step = max(_LIST_BYTES // (longer * 12), 1)
        for at in range(0, len(tied), step):
            part = tied[at : at + step]
            again = _settled(device, number, queries[part], count, longer, rows)
            best.ids[part], best.sims[part] = again.ids, again.sims
    return best


def _checked(vectors: NDArray[np.float32], dims: int) -> NDArray[np.float32]:
    if vectors.ndim != 2 or vectors.shape[1] != dims or vectors.dtype != np.float32:
        raise MismatchError(f"queries are float32 (n, {dims}), not {vectors.dtype} {vectors.shape}")
    return np.ascontiguousarray(vectors)
