"""Margin scores and the choice of pairs.

Artetxe & Schwenk (2019), "Margin-based parallel corpus mining with multilingual sentence embeddings" (ACL),
section 3: the score of a candidate (x, y) sets its cosine against how close x and y are to their k nearest
neighbours of the other language (equation 2), as a ratio (3), a distance, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search import MISSING, Neighbors


class Margin(StrEnum):
    """How a cosine is set against its neighbourhood (higher is better throughout)."""

    RATIO = "ratio"  # cosine / mean; 1 is no better than the neighbourhood
    DISTANCE = "distance"  # cosine - mean; 0 is no better than the neighbourhood
    ABSOLUTE = "absolute"  # the cosine itself


class Retrieval(StrEnum):
    """Which candidates become pairs (section 3.2)."""

    FORWARD = "forward"  # each source sentence with its best target
    BACKWARD = "backward"  # each target sentence with its best source
    INTERSECTION = "intersection"  # pairs that are best both ways
    MAX_SCORE = "max-score"  # best of both ways, taken greedily by score, each sentence once


class Direction(StrEnum):
    """Which way of searching found a pair to be the best of its row."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mined pairs as parallel arrays of length m, by falling margin (then by rising src, tgt).

    Ranks count from 1 among the k neighbours of the other side, 0 where the sentence is not among them.
    """

    src: NDArray[np.int64]  # row in the source corpus
    tgt: NDArray[np.int64]  # row in the target corpus
    margin: NDArray[np.float32]
    cosine: NDArray[np.float32]  # -1..1
    src_mean: NDArray[np.float32]  # mean cosine of the source sentence to its k nearest targets
    tgt_mean: NDArray[np.float32]  # mean cosine of the target sentence to its k nearest sources
    src_rank: NDArray[np.int16]  # of the target among the source's neighbours
    tgt_rank: NDArray[np.int16]  # of the source among the target's neighbours
    forward: NDArray[np.bool_]  # the target is the source's best candidate
    backward: NDArray[np.bool_]  # the source is the target's best candidate

    def __len__(self) -> int:
        return len(self.src)

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Pairs:
        return Pairs(*(getattr(self, field.name)[rows] for field in fields(self)))


def neighborhood_means(neighbors: Neighbors) -> NDArray[np.float32]:
    """Mean cosine of each row to the neighbours it has, (n,); 0 where it has none.

    With fewer than k neighbours the mean is over those found, so that small corpora are not penalised.
    """
    sums = np.where(neighbors.found, neighbors.sims, 0).sum(axis=1, dtype=np.float64)
    means: NDArray[np.float32] = (sums / np.maximum(neighbors.found.sum(axis=1), 1)).astype(np.float32)
    return means


def margin_scores(
    cosine: NDArray[np.float32], mean_a: NDArray[np.float32], mean_b: NDArray[np.float32], margin: Margin
) -> NDArray[np.float32]:
    """The margin of candidates with these cosines and neighbourhood means of either side (broadcast together).

    A ratio to a neighbourhood mean that is not positive says nothing (it would turn the order around), so its score
    is -inf: such a candidate never becomes a pair. It takes vectors that have nothing to do with one another.
    """
    if margin is Margin.ABSOLUTE:
        return np.broadcast_to(cosine, np.broadcast_shapes(cosine.shape, mean_a.shape, mean_b.shape)).copy()
    mean = (mean_a + mean_b) / np.float32(2)
    if margin is Margin.DISTANCE:
        return np.asarray(cosine - mean, np.float32)
    scores = np.full(np.broadcast_shapes(cosine.shape, mean.shape), -np.inf, np.float32)
    np.divide(cosine, mean, out=scores, where=mean > 0)
    return scores


def select_pairs(
    forward: Neighbors,
    backward: Neighbors,
    *,
    margin: Margin = Margin.RATIO,
    retrieval: Retrieval = Retrieval.MAX_SCORE,
    threshold: float | None = None,
    ceiling: float | None = None,
) -> Pairs:
    """Score all candidates and choose pairs.

    Args:
        forward: the nearest targets of each source sentence, (n, k).
        backward: the nearest sources of each target sentence, (m, k).
        threshold: pairs below it are dropped, whatever the retrieval.
        ceiling: pairs above it are dropped likewise (scores far above the rest are often copies or boilerplate);
            a sentence whose best match is above the ceiling is not given a second-best one.
    """
    searched = Searched.of(forward, backward)
    ahead, back = searched.best(margin)
    return choose_pairs(searched, ahead, back, retrieval, (threshold, ceiling))


@dataclass(frozen=True, slots=True)
class Searched:
    """The neighbours both ways, and each side's neighbourhood means: (n,) and (m,)."""

    forward: Neighbors
    backward: Neighbors
    src_means: NDArray[np.float32]
    tgt_means: NDArray[np.float32]

    @classmethod
    def of(cls, forward: Neighbors, backward: Neighbors) -> Searched:
        return cls(forward, backward, neighborhood_means(forward), neighborhood_means(backward))

    def best(self, margin: Margin) -> tuple[Best, Best]:
        """The best neighbour by margin of each row of the source, and of each row of the target."""
        return (
            _best_candidates(self.forward, self.src_means, self.tgt_means, margin),
            _best_candidates(self.backward, self.tgt_means, self.src_means, margin),
        )


def choose_pairs(
    searched: Searched,
    ahead: Best,
    back: Best,
    retrieval: Retrieval,
    bounds: tuple[float | None, float | None] = (None, None),
) -> Pairs:
    """Pairs from the best candidates of both sides, which need not be among the neighbours that were searched.

    A bonus counts where candidates are compared with one another and with the threshold; the margins that the pairs
    have, and that the ceiling is compared with, are without it.

    Args:
        bounds: threshold and ceiling, as in `select_pairs`.
    """
    threshold, ceiling = bounds
    src, tgt, score, cosine, bonus = _candidates(ahead, back, retrieval)
    keep = np.isfinite(score)
    if threshold is not None:
        keep &= score + bonus >= np.float32(threshold)
    order = np.flatnonzero(keep)
    order = order[np.lexsort((tgt[order], src[order], -(score + bonus)[order]))]
    if retrieval is Retrieval.MAX_SCORE:
        order = order[_greedy_one_to_one(src[order], tgt[order], len(searched.forward), len(searched.backward))]
    if ceiling is not None:
        order = order[score[order] <= np.float32(ceiling)]
    order = order[np.lexsort((tgt[order], src[order], -score[order]))]
    src, tgt = src[order], tgt[order]
    return Pairs(
        src=src,
        tgt=tgt,
        margin=score[order],
        cosine=cosine[order],
        src_mean=searched.src_means[src],
        tgt_mean=searched.tgt_means[tgt],
        src_rank=_rank(searched.forward, src, tgt),
        tgt_rank=_rank(searched.backward, tgt, src),
        forward=ahead.other[src] == tgt,
        backward=back.other[tgt] == src,
    )


@dataclass(frozen=True, slots=True)
class Best:
    """Each row's best candidate: (n,) arrays; other is MISSING and score -inf where it has none.

    `score` is the margin, and `bonus` what is added to it where candidates are compared.
    """

    other: NDArray[np.int64]
    score: NDArray[np.float32]
    cosine: NDArray[np.float32]
    bonus: NDArray[np.float32]


def no_candidates(rows: int) -> Best:
    """Of so many rows, none of which has a candidate."""
    zeros = np.zeros(rows, np.float32)
    return Best(np.full(rows, MISSING, np.int64), np.full(rows, -np.inf, np.float32), zeros, zeros.copy())


def _best_candidates(
    neighbors: Neighbors, means: NDArray[np.float32], other_means: NDArray[np.float32], margin: Margin
) -> Best:
    found = neighbors.found
    if not found.any():
        return no_candidates(len(neighbors))
    known, sims = np.where(found, neighbors.ids, 0), np.where(found, neighbors.sims, np.float32(0))
    scores = margin_scores(sims, means[:, None], other_means[known], margin)
    scores[~found] = -np.inf
    column = scores.argmax(axis=1)
    row = np.arange(len(neighbors))
    score = scores[row, column]
    other = np.where(np.isfinite(score), neighbors.ids[row, column], MISSING)
    return Best(other, score, neighbors.sims[row, column], np.zeros(len(row), np.float32))


def _candidates(
    ahead: Best, back: Best, retrieval: Retrieval
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Source row, target row, score, cosine and bonus of what the retrieval may choose from, each pair once."""
    src, tgt = np.flatnonzero(ahead.other != MISSING), np.flatnonzero(back.other != MISSING)
    if retrieval is Retrieval.INTERSECTION:
        src = src[back.other[ahead.other[src]] == src]
    elif retrieval is Retrieval.MAX_SCORE:
        tgt = tgt[ahead.other[back.other[tgt]] != tgt]  # the others are among the forward pairs
    if retrieval is Retrieval.BACKWARD:
        src = src[:0]
    elif retrieval is not Retrieval.MAX_SCORE:
        tgt = tgt[:0]
    return (
        np.concatenate([src, back.other[tgt]]),
        np.concatenate([ahead.other[src], tgt]),
        np.concatenate([ahead.score[src], back.score[tgt]]),
        np.concatenate([ahead.cosine[src], back.cosine[tgt]]),
        np.concatenate([ahead.bonus[src], back.bonus[tgt]]),
    )


@numba.njit(cache=True)
def _greedy_one_to_one(
    src: NDArray[np.int64], tgt: NDArray[np.int64], src_rows: int, tgt_rows: int
) -> NDArray[np.bool_]:
    """Which of the pairs, in the order given, meet neither sentence again after an earlier kept pair."""
    src_taken, tgt_taken = np.zeros(src_rows, np.bool_), np.zeros(tgt_rows, np.bool_)
    kept = np.zeros(len(src), np.bool_)
    for i in range(len(src)):
        if not src_taken[src[i]] and not tgt_taken[tgt[i]]:
            kept[i] = src_taken[src[i]] = tgt_taken[tgt[i]] = True
    return kept


def _rank(neighbors: Neighbors, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int16]:
    hits = neighbors.ids[rows] == others[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0).astype(np.int16)
