"""Search of single rows in float32: for the rows that a faster search is not sure of, and to check it."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.rescore import Scorer, best_of, gather

QUERY_ROWS = 1024
BASE_ROWS = 16_384
_NEAR_ROWS = 64
_ROUNDINGS = 64  # of float32, beside those of a product's sums
_SPARE = 12  # candidates beyond k: float32 sums differ in the last bits from the scorer's


def search_rows(
    scorer: Scorer, rows: NDArray[np.int64], k: int, *, query_rows: int = QUERY_ROWS, base_rows: int = BASE_ROWS
) -> Neighbors:
    """The k nearest of the base for these rows of the queries, (len(rows), k), by comparing with all of it.

    By the scorer's cosines, equal ones by rising id: where more candidates than are kept are as near as float32 can
    tell (copies), all that may be among the nearest are scored. Memory: a block of each side and its product in
    float32.
    """
    found = Neighbors(np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32))
    # <q, b - m> orders the base as <q, b> does, and keeps its precision where all vectors are nearly alike
    mean = scorer.base.block(0, base_rows).mean(axis=0) if len(scorer.base) else np.zeros(scorer.base.dims, np.float32)
    for start in range(0, len(rows), query_rows):
        part = slice(start, start + query_rows)
        search = _FloatSearch(scorer, rows[part], mean, base_rows)
        best, unsure = search.nearest(k)
        for some in range(0, len(unsure), _NEAR_ROWS):
            few = unsure[some : some + _NEAR_ROWS]
            again = search.near(few, best.sims[few, -1], k)
            best.ids[few], best.sims[few] = again.ids, again.sims
        found.ids[part], found.sims[part] = best.ids, best.sims
    return found


class _FloatSearch:
    """Some queries against all of the base, a block at a time."""

    def __init__(self, scorer: Scorer, rows: NDArray[np.int64], mean: NDArray[np.float32], base_rows: int) -> None:
        self._scorer, self._rows, self._mean, self._base_rows = scorer, rows, mean, base_rows
        self._queries = gather(scorer.queries, rows).astype(np.float32)
        self._of_mean = self._queries.astype(np.float64) @ mean.astype(np.float64)
        self._error = (2 * scorer.base.dims + _ROUNDINGS) * 2.0**-24  # of a product, against the scorer's cosine

    def nearest(self, k: int) -> tuple[Neighbors, NDArray[np.int64]]:
        """The k best of some candidates to spare, and the places of queries that may have others as near."""
        count = k + _SPARE
        ids = np.full((len(self._rows), count), MISSING, np.int64)
        sims = np.full((len(self._rows), count), -np.inf, np.float32)
        for at, products in self._products(self._queries):
            _keep_best(products, sims, ids, at)
        best = self._scorer.best(self._rows, ids, k)
        most = sims[:, -1] + self._of_mean + self._error  # of those that are no candidates
        unsure = (ids[:, -1] != MISSING) & (best.sims[:, -1] <= most)
        return best, np.flatnonzero(unsure & self._queries.any(axis=1))  # all are as near to a zero vector

    def near(self, places: NDArray[np.int64], least: NDArray[np.float32], k: int) -> Neighbors:
        """The k best of all that may have a cosine of `least`, for the queries at these places."""
        best = Neighbors.none(len(places), k)
        bounds = (least - self._of_mean[places] - self._error)[:, None]
        for at, products in self._products(self._queries[places]):
            near = products >= bounds
            width = int(near.sum(axis=1).max(initial=0))
            if not width:
                continue
            columns = np.argsort(~near, axis=1, kind="stable")[:, :width]
            ids = np.where(np.take_along_axis(near, columns, axis=1), columns + at, MISSING)
            sims = self._scorer.cosines(self._rows[places], ids)
            best = best_of(np.hstack([best.ids, ids]), np.hstack([best.sims, sims]), k)
        return best

    def _products(self, queries: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        base = self._scorer.base
        for at in range(0, len(base), self._base_rows):
            yield at, queries @ (base.block(at, at + self._base_rows) - self._mean).T


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
