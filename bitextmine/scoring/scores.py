"""The scores of pairs (Artetxe & Schwenk 2019, section 3; see `margin`), without a choice among candidates.

A pair (x, y) has the cosine of its two vectors, the mean cosine of x to its k nearest in the target's background and
that of y to its k nearest in the source's. Where the backgrounds are the corpora of a mining job, and so hold x and
y, these are the job's own numbers: the same float16 vectors are compared with the same arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.margin import Margin, margin_scores, neighborhood_means
from bitextmine.search import Neighbors
from bitextmine.search.rescore import Scorer
from bitextmine.vectors import StoredVectors

_CHUNK = 1 << 16  # pairs


@dataclass(frozen=True, slots=True)
class PairScores:
    """Scores of n pairs, each an (n,) array of float32."""

    margin: NDArray[np.float32]  # -inf where the neighbourhoods' mean is not positive: a ratio says nothing there
    cosine: NDArray[np.float32]  # -1..1
    src_mean: NDArray[np.float32]  # NaN where no background was given
    tgt_mean: NDArray[np.float32]


def score_pairs(
    src: StoredVectors,
    tgt: StoredVectors,
    *,
    src_neighbors: Neighbors | None,
    tgt_neighbors: Neighbors | None,
    margin: Margin,
) -> PairScores:
    """Score row i of the source with row i of the target.

    Args:
        src_neighbors: of each source row, its k nearest in the target's background; None without one.
        tgt_neighbors: of each target row, its k nearest in the source's background.

    Raises:
        MismatchError: the sides differ in rows or dimensions; a margin that compares is asked for without neighbours.
    """
    if len(src) != len(tgt):
        raise MismatchError(f"{len(src):,} source and {len(tgt):,} target sentences are no pairs")
    rows = np.arange(len(src))
    means = [_means(neighbors, len(src)) for neighbors in (src_neighbors, tgt_neighbors)]
    return score_rows(Scorer(src, tgt), rows, rows, (means[0], means[1]), margin)


def score_rows(
    scorer: Scorer,
    src_rows: NDArray[np.int64],
    tgt_rows: NDArray[np.int64],
    means: tuple[NDArray[np.float32], NDArray[np.float32]],
    margin: Margin,
) -> PairScores:
    """Score these rows of the scorer's queries with those rows of its base.

    Args:
        means: of all rows of each side; NaN where unknown.

    Raises:
        MismatchError: the sides differ in dimensions; a margin that compares needs a mean that is unknown.
    """
    if scorer.queries.dims != scorer.base.dims:
        raise MismatchError(f"vectors of {scorer.queries.dims} and {scorer.base.dims} dimensions cannot be compared")
    cosine = np.empty(len(src_rows), np.float32)
    for start in range(0, len(cosine), _CHUNK):
        part = slice(start, start + _CHUNK)
        cosine[part] = scorer.cosines(src_rows[part], tgt_rows[part, None])[:, 0]
    scorer.release()
    src_mean, tgt_mean = means[0][src_rows], means[1][tgt_rows]
    if margin is not Margin.ABSOLUTE and not (np.isfinite(src_mean).all() and np.isfinite(tgt_mean).all()):
        raise MismatchError(f"the margin {margin} needs neighbours on both sides")
    return PairScores(margin_scores(cosine, src_mean, tgt_mean, margin), cosine, src_mean, tgt_mean)


def _means(neighbors: Neighbors | None, rows: int) -> NDArray[np.float32]:
    if neighbors is None:
        return np.full(rows, np.nan, np.float32)
    if len(neighbors) != rows:
        raise MismatchError(f"neighbours of {len(neighbors):,} rows are not those of {rows:,}")
    return neighborhood_means(neighbors)
