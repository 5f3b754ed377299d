"""How good an approximate search was: recall and margin error against float32 search, on rows drawn from its queries.

The queries are of the other side, so none of them is in the index or was seen in its training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.search.floats import search_rows
from bitextmine.search.neighbors import Neighbors
from bitextmine.search.recall import wilson_interval
from bitextmine.search.rescore import Scorer

SAMPLED_ROWS = 256
_SEED = 7


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the true k nearest that were found, and its 95% interval (Wilson 1927).

    The interval counts rows, not neighbours, since those of one row stand or fall together: it is rather too wide.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: NDArray[np.int64], truth: NDArray[np.int64]) -> Recall:
        """Both (rows, k) ids; -1 where there is none."""
        there = truth >= 0
        hits = ((found[:, None, :] == truth[:, :, None]) & there[:, :, None]).any(axis=2)
        rows, total = int(there.any(axis=1).sum()), int(there.sum())
        if not total:
            return cls(1.0, 0.0, 1.0)
        share = float(hits.sum() / total)
        return cls(share, *wilson_interval(share * rows, rows))


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction's, on `rows` sampled query rows."""

    rows: int
    before: Recall  # the k best by approximate score
    after: Recall  # the k best by exact cosine among the candidates
    margin_error: float  # mean difference of the best pair's ratio margin from its exact one
    worst_margin_error: float


@dataclass(frozen=True, slots=True)
class IvfPqReport:
    """What the search can say of itself. Pairs are (of source queries, of target queries)."""

    quality: tuple[Quality, Quality]
    bytes_per_vector: float  # of the index files, centroids included
    build_seconds: float  # both indexes, in whichever run they were built
    search_seconds: float  # this run: both ways, with rescoring
    candidates: int
    nprobe: tuple[int, int]


def measure_quality(
    scorer: Scorer, found: Neighbors, back: Neighbors, approximate: Callable[[NDArray[np.int64]], Neighbors]
) -> Quality:
    """Compare a direction's result with the truth.

    Args:
        scorer: from the queries to the base.
        found, back: the results of this direction and of the other.
        approximate: the candidates of some query rows, best first.
    """
    n, k = len(found), found.k
    if not n or not len(back):
        return Quality(0, Recall(1.0, 0.0, 1.0), Recall(1.0, 0.0, 1.0), 0.0, 0.0)
    rows = np.sort(np.random.default_rng(_SEED).choice(n, min(SAMPLED_ROWS, n), replace=False, shuffle=False))
    truth = search_rows(scorer, rows, k)
    best = truth.ids[:, 0]
    truth_back = search_rows(scorer.reversed(), best, k)
    exact = _ratio(truth.sims[:, 0], truth, truth_back)
    part, part_back = Neighbors(found.ids[rows], found.sims[rows]), Neighbors(back.ids[best], back.sims[best])
    errors = np.abs(_ratio(truth.sims[:, 0], part, part_back) - exact)
    errors = errors[np.isfinite(errors)]
    return Quality(
        len(rows),
        Recall.of(approximate(rows).ids[:, :k], truth.ids),
        Recall.of(part.ids, truth.ids),
        float(errors.mean()) if len(errors) else 0.0,
        float(errors.max(initial=0.0)),
    )


def _ratio(cosines: NDArray[np.float32], forward: Neighbors, backward: Neighbors) -> NDArray[np.float64]:
    """Ratio margin (Artetxe & Schwenk 2019, eq. 2 and 4); NaN where a mean is not positive or a row found nothing."""
    means = [
        np.where(side.found, side.sims, 0).sum(axis=1, dtype=np.float64) / np.maximum(side.found.sum(axis=1), 1)
        for side in (forward, backward)
    ]
    mean = (means[0] + means[1]) / 2
    ratio: NDArray[np.float64] = np.divide(cosines, mean, out=np.full(len(mean), np.nan), where=mean > 0)
    return ratio
