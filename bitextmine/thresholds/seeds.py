"""Pairs that are known, planted into the corpora: what of them mining would find, and what it would find without them.

A planted pair is scored as if its sentences were in the corpora: each is among the other's neighbours. Copies of a
pair's sentences that are in the corpora already are looked away from, or each pair would find itself again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.artifacts import ArtifactStore
from bitextmine.embeddings import Embeddings, embed
from bitextmine.encoders import Encoder
from bitextmine.errors import ParameterError
from bitextmine.margin import Retrieval, margin_scores, neighborhood_means
from bitextmine.pair_files import IngestedPairs
from bitextmine.progress import Progress, silent
from bitextmine.resources import Resources
from bitextmine.search import MISSING, Neighbors
from bitextmine.search.row_scorer import RowScorer
from bitextmine.thresholds.decoys import Decoys, Direction, Held, first_of, mixed, nearest, without
from bitextmine.vectors import StoredVectors, unit_rows

LEAST_SEEDS = 100
MOST_SEEDS = 2_048
_COPY = 0.98  # cosine from which a sentence counts as another of the same meaning
_COPIES = 8  # of a sentence that are looked away from at most


@dataclass(frozen=True, slots=True)
class Seeds:
    """Known pairs: vectors of both sides' sentences, and the row of each pair in them, (n,)."""

    src: Embeddings
    tgt: Embeddings
    src_rows: NDArray[np.int64]
    tgt_rows: NDArray[np.int64]
    digest: str

    def reversed(self) -> Seeds:
        """The same with the sides exchanged."""
        return Seeds(self.tgt, self.src, self.tgt_rows, self.src_rows, self.digest)

    def sample(self) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Vectors of MOST_SEEDS pairs at most, by hash, each source sentence once: two (s, dims)."""
        _, first = np.unique(self.src_rows, return_index=True)
        chosen = np.sort(first[np.argsort(mixed(first.astype(np.int64)), kind="stable")[:MOST_SEEDS]])
        return RowScorer(self.src).take(self.src_rows[chosen]), RowScorer(self.tgt).take(self.tgt_rows[chosen])


def embed_seeds(pairs: IngestedPairs, encoder: Encoder, store: ArtifactStore, progress: Progress = silent) -> Seeds:
    """Embed both sides of a file of pairs, unless that was done before.

    Raises:
        ParameterError: `too-few-seeds`, fewer than LEAST_SEEDS source sentences.
    """
    if len(pairs.src) < LEAST_SEEDS:
        message = f"{pairs.names[0]} has {len(pairs.src)} pairs; an estimate from seeds takes {LEAST_SEEDS} at least"
        raise ParameterError(message, code="too-few-seeds")
    src = embed(pairs.src, encoder, store, stage="embed-seeds-src", progress=progress)
    tgt = embed(pairs.tgt, encoder, store, stage="embed-seeds-tgt", progress=progress)
    return Seeds(src, tgt, pairs.column("src_row"), pairs.column("tgt_row"), pairs.digest)


@dataclass(frozen=True, slots=True)
class Planted:
    """What became of planted pairs: decoys, and for each the margin with which it was found, -inf where it was not."""

    decoys: Decoys
    found: NDArray[np.float32]


def plant(
    seeds: Seeds,
    directions: tuple[Direction, Direction],
    held: Held,
    resources: Resources,
    *,
    retrieval: Retrieval,
    ceiling: float | None,
) -> Planted:
    """Plant each seed by itself, between the corpora of the directions.

    Args:
        retrieval: FORWARD, where the rows of the first direction look for a partner and nobody looks for them, or one
            that looks from both sides.
        ceiling: of margins; pairs above it are not found.

    Raises:
        MismatchError: the seeds' vectors have other dimensions than the corpora's.
    """
    forward, backward = directions
    src, tgt = seeds.sample()
    cosines = np.einsum("nd,nd->n", unit_rows(src), unit_rows(tgt))
    ahead = _foreign(src, tgt, forward, resources)
    back = _foreign(tgt, src, backward, resources)
    k = forward.neighbors.k
    means = [neighborhood_means(_joined(each, cosines, k)) for each in (ahead, back)]
    margins = margin_scores(cosines, means[0], means[1], forward.margin)
    rivals = [
        direction.best_of(first_of(each, k), mean)[1]
        for direction, each, mean in zip((forward, backward), (ahead, back), means, strict=True)
    ]
    found = margins > (rivals[0] if retrieval is Retrieval.FORWARD else np.maximum(*rivals))
    if ceiling is not None:
        found &= margins <= np.float32(ceiling)
    ids, first = forward.best_of(first_of(ahead, k))
    _, second = forward.best_of(first_of(without(ahead, ids), k))
    nobody = np.full(len(ids), MISSING - 1, np.int64)  # seeds are no rows of the corpus
    none, all_ = np.zeros(len(ids)), np.ones(len(ids))
    decoys = Decoys(margins, np.zeros(len(ids), bool), first, held.of(ids, nobody), second, none, all_)
    return Planted(decoys, np.where(found, margins, np.float32(-np.inf)))


def _foreign(
    queries: NDArray[np.float16], partners: NDArray[np.float16], direction: Direction, resources: Resources
) -> Neighbors:
    """Neighbours of the queries in the corpus, without copies of their partners; some more than k."""
    k = direction.neighbors.k
    columns = direction.columns
    found = nearest(StoredVectors.of(queries), columns, k + 1 + _COPIES, resources)
    vectors = unit_rows(RowScorer(columns).take(np.maximum(found.ids, 0).ravel())).reshape(*found.ids.shape, -1)
    copies = (np.einsum("nd,nkd->nk", unit_rows(partners), vectors) >= _COPY) | ~found.found
    order = np.argsort(copies, axis=1, kind="stable")
    ids = np.where(np.take_along_axis(copies, order, 1), MISSING, np.take_along_axis(found.ids, order, 1))
    return first_of(Neighbors(ids, np.take_along_axis(found.sims, order, 1)), k + 1)


def _joined(neighbors: Neighbors, cosines: NDArray[np.float32], k: int) -> Neighbors:
    """The k nearest when one with this cosine is among them (its id does not matter)."""
    sims = np.where(neighbors.found, neighbors.sims, np.float32(-np.inf))
    sims = -np.sort(-np.column_stack([sims, cosines]), axis=1)[:, :k]
    return Neighbors(np.where(np.isfinite(sims), 0, MISSING), sims.astype(np.float32))
