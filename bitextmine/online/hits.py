"""One corpus's hits with their margins, and the hits of several as one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.catalog import CatalogEntry
from bitextmine.margin import Margin, margin_scores, neighborhood_means
from bitextmine.online.budget import Budget
from bitextmine.online.means import Background, HitMeans
from bitextmine.online.request import Hit, SearchRequest
from bitextmine.online.searchable import SearchableCorpus
from bitextmine.search.neighbors import Neighbors


@dataclass(frozen=True, slots=True)
class Target:
    """A corpus to search, with the background of its hits."""

    entry: CatalogEntry
    corpus: SearchableCorpus
    background: Background | None


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of q queries in a corpus. Margins and means are NaN where there is no background."""

    target: Target
    neighbors: Neighbors  # (q, k)
    margins: NDArray[np.float32]  # (q, k)
    query_means: NDArray[np.float32]  # (q,)
    hit_means: NDArray[np.float32]  # (q, k)


def search_target(
    target: Target, queries: NDArray[np.float16], request: SearchRequest, means: HitMeans, budget: Budget
) -> Found:
    """The k nearest of each query that pass the filter, and their margins.

    Artetxe & Schwenk (2019), equation 2: a query's neighbourhood is what is nearest to it in the whole corpus, filtered
    or not; a hit's is in the background.

    Raises:
        ParameterError: `search-too-large`.
        ConflictError: `corpus-not-indexed`: the background.
    """
    corpus, rows = target.corpus, target.corpus.rows_where(request.filter)
    k = max(request.k, request.neighborhood) if rows is None else request.neighborhood
    budget.spend(corpus, len(queries), exact=request.exact)
    nearest = corpus.nearest(queries, k, probes=request.probes, exact=request.exact)
    neighbors = Neighbors(nearest.ids[:, : request.k], nearest.sims[:, : request.k])
    if rows is not None:
        budget.spend(corpus, len(queries), exact=request.exact, rows=len(rows))
        neighbors = corpus.nearest(queries, request.k, probes=request.probes, exact=request.exact, rows=rows)
    cosines = np.where(neighbors.found, neighbors.sims, np.float32(0))
    unknown = np.full(cosines.shape, np.nan, np.float32)
    if target.background is None:
        margins = cosines if request.margin is Margin.ABSOLUTE else unknown
        return Found(target, neighbors, margins, unknown[:, 0], unknown)
    near = slice(0, request.neighborhood)
    query_means = neighborhood_means(Neighbors(nearest.ids[:, near], nearest.sims[:, near]))
    hit_rows, places = np.unique(neighbors.ids[neighbors.found], return_inverse=True)
    of_rows = means.of(hit_rows, corpus, target.background, request.neighborhood, exact=request.exact, budget=budget)
    unknown[neighbors.found] = of_rows[places]
    margins = margin_scores(cosines, query_means[:, None], unknown, request.margin)
    return Found(target, neighbors, margins, query_means, unknown)


def ranked(found: Sequence[Found], query: int, request: SearchRequest, *, by_margin: bool) -> list[Hit]:
    """The k best hits of a query from all corpora, by falling margin or cosine; equal ones in the corpora's order."""
    ids = np.concatenate([each.neighbors.ids[query] for each in found])
    cosines = np.concatenate([each.neighbors.sims[query] for each in found])
    margins = np.concatenate([each.margins[query] for each in found])
    keep = np.concatenate([each.neighbors.found[query] for each in found])
    if request.min_cosine is not None:
        keep &= cosines >= np.float32(request.min_cosine)
    if request.min_margin is not None:
        keep &= margins >= np.float32(request.min_margin)  # NaN is not
    order = np.flatnonzero(keep)
    scores = np.nan_to_num(margins, nan=-np.inf, neginf=-np.inf) if by_margin else cosines
    order = order[np.lexsort((-cosines[order], -scores[order]))][: request.k]
    columns = [each.neighbors.k for each in found]
    owners, starts = np.repeat(np.arange(len(found)), columns), np.cumsum([0, *columns])
    return [_hit(found[owners[at]], query, int(at - starts[owners[at]]), int(ids[at])) for at in order.tolist()]


def _hit(found: Found, query: int, place: int, row: int) -> Hit:
    target = found.target
    return Hit(
        corpus=target.entry.name,
        lang=target.entry.lang,
        row=row,
        sentence=target.corpus.sentences.at(row),
        cosine=float(found.neighbors.sims[query, place]),
        margin=_number(found.margins[query, place]),
        query_mean=_number(found.query_means[query]),
        hit_mean=_number(found.hit_means[query, place]),
    )


def _number(value: np.float32) -> float | None:
    """None for what is no score: NaN, or the -inf of a ratio to a mean that is not positive."""
    return float(value) if np.isfinite(value) else None
