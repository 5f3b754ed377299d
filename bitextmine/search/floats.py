"""Search of single rows in float32: for the rows that a faster search is not sure of, and to check it."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer, gather

QUERY_ROWS = 1024
BASE_ROWS = 16_384
_SPARE = 12  # candidates beyond k: float32 sums differ in the last bits from the scorer's


def search_rows(
    scorer: Scorer, rows: NDArray[np.int64], k: int, *, query_rows: int = QUERY_ROWS, base_rows: int = BASE_ROWS
) -> Neighbors:
    """The k nearest of the base for these rows of the queries, (len(rows), k), by comparing with all of it.

    Memory: a block of each side and its product in float32.
    """
    count = k + _SPARE
    ids = np.full((len(rows), count), MISSING, np.int64)
    sims = np.full((len(rows), count), -np.inf, np.float32)
    # <q, b - m> orders the base as <q, b> does, and keeps its precision where all vectors are nearly alike
    mean = scorer.base.block(0, base_rows).mean(axis=0) if len(scorer.base) else np.float32(0)
    for start in range(0, len(rows), query_rows):
        part = slice(start, start + query_rows)
        queries = gather(scorer.queries, rows[part]).astype(np.float32)
        for at in range(0, len(scorer.base), base_rows):
            base = scorer.base.block(at, at + base_rows) - mean
            _keep_best(queries @ base.T, sims[part], ids[part], at)
    return scorer.best(rows, ids, k)


@numba.njit(cache=True, nogil=True)
def _keep_best(products, sims, ids, offset):  # type: ignore[no-untyped-def]
    """Put a block of products into the sorted lists; of equal ones those of lower id stay."""
    n, m = products.shape
    last = sims.shape[1] - 1
    for row in range(n):
        bound = sims[row, last]
        for column in range(m):
            value = products[row, column]
            if value > bound:
                place = last
                while place > 0 and sims[row, place - 1] < value:
                    sims[row, place], ids[row, place] = sims[row, place - 1], ids[row, place - 1]
                    place -= 1
                sims[row, place], ids[row, place] = value, offset + column
                bound = sims[row, last]
