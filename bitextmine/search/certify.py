"""From approximate candidates to certain neighbours: exact cosines, and a second look where they prove nothing.

A row is certain when its k-th exact cosine lies above what any row that its list left out can have: the last
candidate's approximate cosine and six standard deviations of the approximation's error. The other rows are searched
again in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bitextmine.progress import Progress
from bitextmine.search.floats import search_rows
from bitextmine.search.known import merged
from bitextmine.search.neighbors import Neighbors
from bitextmine.search.rescore import Scorer

DEVIATIONS = 6.0
CHECKED_ROWS = 64
_TOLERANCE = 1e-6  # cosines of float32 sums in different orders
_RESCORED_ROWS = 8_192
_AGAIN_ROWS = 4_096

# Of some rows: their candidates (rows, c), and what a row that is not among them can have at most, (rows,); -inf
# where there is none.
Candidates = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.float64]]]


def certain_neighbors(
    scorer: Scorer,
    candidates: Candidates,
    k: int,
    stage: str,
    progress: Progress,
    known: Neighbors | None = None,
) -> tuple[Neighbors, int]:
    """The k best of every query by exact cosine, and how many queries had to be searched in float32 for that.

    Args:
        known: of the first queries, neighbours that are none of the candidates, by the same exact cosines.
    """
    n = len(scorer.queries)
    known = known or Neighbors.none(0, k)
    found = Neighbors(np.empty((n, k), np.int64), np.empty((n, k), np.float32))
    unsure = []
    for start in range(0, n, _RESCORED_ROWS):
        rows = np.arange(start, min(start + _RESCORED_ROWS, n))
        ids, most = candidates(rows)
        part = merged(scorer.best(rows, ids, k), known, start)
        found.ids[rows], found.sims[rows] = part.ids, part.sims
        scorer.release()
        unsure.append(rows[(most > -np.inf) & ~(part.sims[:, -1] > most)])
        progress(stage, len(rows) + start, n)
    again = np.concatenate(unsure) if unsure else np.empty(0, np.int64)
    for start in range(0, len(again), _AGAIN_ROWS):
        rows = again[start : start + _AGAIN_ROWS]
        part = search_rows(scorer, rows, k)
        found.ids[rows], found.sims[rows] = part.ids, part.sims
        progress(f"{stage}-again", start + len(rows), len(again))
    return found, len(again)


def wrong_rows(scorer: Scorer, found: Neighbors) -> int:
    """How many of some evenly spaced rows differ from a float32 search in their similarities."""
    if not len(found):
        return 0
    rows = np.unique(np.linspace(0, len(found) - 1, CHECKED_ROWS, dtype=np.int64))
    truth = search_rows(scorer, rows, found.k)
    with np.errstate(invalid="ignore"):  # -inf less -inf, where there are fewer than k
        return int((np.abs(truth.sims - found.sims[rows]) > _TOLERANCE).any(axis=1).sum())
