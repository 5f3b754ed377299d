"""What sentences find when their best candidate is taken away: margins of pairs that are wrong by construction.

A row whose best candidate is its translation is, without it, a row that has none: what it finds then is a decoy. Decoys
are drawn for a sample of rows, by hash and so that high margins, of which there are few, are well covered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bitextmine.margin import Margin, Pairs, Retrieval, margin_scores, neighborhood_means
from bitextmine.resources import Resources
from bitextmine.search import MISSING, ExactOptions, Neighbors, nearest_exact
from bitextmine.search.row_scorer import RowScorer
from bitextmine.vectors import StoredVectors

REMOVED = 2  # candidates taken away, one after the other
STRATUM_ROWS = 1_536
_STRATA = (0.01, 0.05, 0.2, 0.5, 1.0)  # of the rows with a pair, by falling margin
_BLOCK = 1 << 18  # rows whose candidates are scored at a time


@dataclass(frozen=True, slots=True)
class Direction:
    """Rows of one side that look for their best among the columns, the other side."""

    rows: StoredVectors
    columns: StoredVectors
    neighbors: Neighbors  # of the rows among the columns
    means: NDArray[np.float32]  # of the rows: mean cosine to their neighbours
    column_means: NDArray[np.float32]
    margin: Margin

    @classmethod
    def of(
        cls, vectors: tuple[StoredVectors, StoredVectors], neighbors: tuple[Neighbors, Neighbors], margin: Margin
    ) -> Direction:
        """Of the vectors and the neighbours of both sides, the looking one first."""
        means, column_means = (neighborhood_means(each) for each in neighbors)
        return cls(*vectors, neighbors[0], means, column_means, margin)

    def best(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best candidate of each row by margin, and that margin; MISSING and -inf where it has none."""
        ids, scores = np.full(len(self.rows), MISSING, np.int64), np.full(len(self.rows), -np.inf, np.float32)
        for start in range(0, len(self.rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            block = Neighbors(self.neighbors.ids[part], self.neighbors.sims[part])
            ids[part], scores[part] = self.best_of(block, self.means[part])
        return ids, scores

    def without_best(
        self, rows: NDArray[np.int64], resources: Resources
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The best candidate of these rows and its margin, REMOVED times, each time without those before.

        Neighbourhoods are those that the rows have without them: the k nearest of what remains.
        """
        k = self.neighbors.k
        left = nearest(StoredVectors.of(RowScorer(self.rows).take(rows)), self.columns, k + REMOVED, resources)
        for _ in range(REMOVED):
            best, _ = self.best_of(first_of(left, k))
            left = without(left, best)
            yield self.best_of(first_of(left, k))

    def best_of(
        self, neighbors: Neighbors, means: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best of these neighbours and its margin, by these means or else the mean cosines to the neighbours."""
        means = neighborhood_means(neighbors) if means is None else means
        found = neighbors.found
        known, sims = np.where(found, neighbors.ids, 0), np.where(found, neighbors.sims, np.float32(0))
        scores = np.where(
            found, margin_scores(sims, means[:, None], self.column_means[known], self.margin), np.float32(-np.inf)
        )
        column, row = scores.argmax(axis=1), np.arange(len(neighbors))
        score = scores[row, column]
        return np.where(np.isfinite(score), neighbors.ids[row, column], MISSING), score


@dataclass(frozen=True, slots=True)
class Decoys:
    """A sample of rows. Arrays of length s; margins are -inf where there is no candidate."""

    best: NDArray[np.float32]  # margin of the row's best candidate
    paired: NDArray[np.bool_]  # whether the row and its best candidate are a mined pair
    first: NDArray[np.float32]  # margin of the best candidate without that one
    held: NDArray[np.float32]  # the margin which that candidate would have to beat to become a pair
    second: NDArray[np.float32]  # margin of the best candidate without either
    weight: NDArray[np.float64]  # rows of the corpus that it stands for; 0 of seeds
    seed: NDArray[np.float64]  # 1 of seeds: rows that are no part of the corpus, and give decoys whatever their margin

    def __len__(self) -> int:
        return len(self.best)

    def reweighted(self, factors: NDArray[np.float64]) -> Decoys:
        return replace(self, weight=self.weight * factors, seed=self.seed * factors)

    def capped(self, ceiling: float) -> Decoys:
        """Where a candidate above the ceiling becomes no pair."""
        return replace(self, held=np.where(self.first > ceiling, np.float32(np.inf), self.held))

    def joined(self, other: Decoys) -> Decoys:
        return Decoys(*(np.concatenate([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self)))


def draw_decoys(direction: Direction, pairs: Pairs, held: Held, resources: Resources) -> Decoys:
    """Decoys of a sample of rows.

    Args:
        pairs: the mined pairs, whose `src` are the direction's rows.
        held: what a candidate must beat; see `held_margins`.
    """
    ids, best = direction.best()
    own = np.full(len(ids), -np.inf, np.float32)
    agree = ids[pairs.src] == pairs.tgt
    own[pairs.src[agree]] = pairs.margin[agree]
    rows, weight = _stratified(own)
    (first_ids, first), (_, second) = direction.without_best(rows, resources)
    return Decoys(
        best[rows], np.isfinite(own[rows]), first, held.of(first_ids, rows), second, weight, np.zeros(len(rows))
    )


@dataclass(frozen=True, slots=True)
class Held:
    """The margin that each column's pair has already, and with which row."""

    margins: NDArray[np.float32]
    rows: NDArray[np.int64]

    def of(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """What these rows must beat at these columns; nothing where the column is theirs."""
        margins = np.where(self.rows[columns] == rows, np.float32(-np.inf), self.margins[columns])
        return np.where(columns == MISSING, np.float32(np.inf), margins)


def held_margins(retrieval: Retrieval, pairs: Pairs, backward: Direction) -> Held:
    """What stands against a new pair at each column: its pair, its best candidate, or nothing, by the retrieval."""
    columns = len(backward.rows)
    if retrieval is Retrieval.INTERSECTION:
        ids, best = backward.best()
        return Held(best, ids)
    margins, rows = np.full(columns, -np.inf, np.float32), np.full(columns, MISSING, np.int64)
    if retrieval is Retrieval.MAX_SCORE:
        margins[pairs.tgt], rows[pairs.tgt] = pairs.margin, pairs.src
    return Held(margins, rows)


def _stratified(own: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows, STRATUM_ROWS of each stratum at most, and how many each stands for."""
    with_pair = np.flatnonzero(np.isfinite(own))
    with_pair = with_pair[np.argsort(-own[with_pair], kind="stable")]
    edges = [0, *(round(share * len(with_pair)) for share in _STRATA)]
    strata = [with_pair[low:high] for low, high in pairwise(edges)]
    strata.append(np.flatnonzero(~np.isfinite(own)))
    sampled = [stratum[np.argsort(mixed(stratum), kind="stable")[:STRATUM_ROWS]] for stratum in strata]
    weights = [
        np.full(len(rows), len(stratum) / max(len(rows), 1)) for rows, stratum in zip(sampled, strata, strict=True)
    ]
    return np.concatenate(sampled), np.concatenate(weights)


def mixed(rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Well-mixed numbers of rows: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    mixed = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def nearest(queries: StoredVectors, base: StoredVectors, k: int, resources: Resources) -> Neighbors:
    """The k nearest rows of the base, exactly, within the memory that may be used.

    Raises:
        ParameterError: `memory-too-small`.
    """
    options = ExactOptions.within(resources.memory_bytes, len(queries), len(base), base.dims, k, resources.threads)
    return nearest_exact(queries, base, k, options=options)


def first_of(neighbors: Neighbors, k: int) -> Neighbors:
    """The k nearest of those that are there."""
    return Neighbors(neighbors.ids[:, :k], neighbors.sims[:, :k])


def without(neighbors: Neighbors, ids: NDArray[np.int64]) -> Neighbors:
    """The neighbours but these, one a row, in their order; the place that comes free is MISSING."""
    gone = (neighbors.ids == ids[:, None]) & (ids != MISSING)[:, None]
    order = np.argsort(gone, axis=1, kind="stable")
    kept = np.where(np.take_along_axis(gone, order, 1), MISSING, np.take_along_axis(neighbors.ids, order, 1))
    return Neighbors(kept, np.take_along_axis(neighbors.sims, order, 1))
