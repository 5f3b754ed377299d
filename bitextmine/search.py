"""Nearest neighbours with exact cosines: blocks of FAISS's brute-force search, merged."""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from bitextmine.embeddings import Vectors
from bitextmine.errors import MismatchError
from bitextmine.progress import Progress, silent

MISSING = -1  # FAISS's mark; the similarity beside it is finite garbage
QUERY_ROWS = 16_384
BASE_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The k nearest of each row: by falling similarity, equal ones by rising id, missing ones last."""

    ids: NDArray[np.int64]  # (n, k)
    sims: NDArray[np.float32]  # (n, k) cosine, higher is better; meaningless where ids is MISSING

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.not_equal(self.ids, MISSING)

    @property
    def k(self) -> int:
        return int(self.ids.shape[1])

    def __len__(self) -> int:
        return len(self.ids)


def nearest_neighbors(
    queries: Vectors,
    base: Vectors,
    k: int,
    *,
    query_rows: int = QUERY_ROWS,
    base_rows: int = BASE_ROWS,
    stage: str = "search",
    progress: Progress = silent,
) -> Neighbors:
    """The k nearest rows of `base` for each row of `queries`, exactly. Progress counts pairs of blocks.

    Where base has fewer than k rows the rest is MISSING; of rows that tie for the last place any may be kept.
    Memory: one block of each side in float32, and the result.

    Raises:
        MismatchError: the sides differ in dimensions.
    """
    if queries.dims != base.dims:
        raise MismatchError(f"vectors of {queries.dims} and of {base.dims} dimensions cannot be compared")
    n = len(queries)
    best = Neighbors(np.full((n, k), MISSING, np.int64), np.full((n, k), -np.inf, np.float32))
    starts = range(0, n, query_rows)
    total, done = len(starts) * len(range(0, len(base), base_rows)), 0
    for base_start in range(0, len(base), base_rows):
        base_block = base.block(base_start, min(base_start + base_rows, len(base)))
        for start in starts:
            rows = slice(start, min(start + query_rows, n))
            ids, sims = _search_block(queries.block(rows.start, rows.stop), base_block, k, base_start)
            best.ids[rows], best.sims[rows] = _merge(best.ids[rows], best.sims[rows], ids, sims)
            done += 1
            progress(stage, done, total)
    return best


def _search_block(
    queries: NDArray[np.float32], base: NDArray[np.float32], k: int, offset: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    for block in (queries, base):
        if block.dtype != np.float32 or not block.flags.c_contiguous:
            raise MismatchError(f"FAISS reads contiguous float32, not {block.dtype}")
    sims, ids = faiss.knn(queries, base, min(k, len(base)), metric=faiss.METRIC_INNER_PRODUCT)
    missing = ids == MISSING
    return np.where(missing, MISSING, ids + offset), np.where(missing, np.float32(-np.inf), sims)


def _merge(
    ids: NDArray[np.int64], sims: NDArray[np.float32], more_ids: NDArray[np.int64], more_sims: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    k = ids.shape[1]
    ids, sims = np.concatenate([ids, more_ids], axis=1), np.concatenate([sims, more_sims], axis=1)
    order = np.lexsort((ids, -sims), axis=1)[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(sims, order, axis=1)
