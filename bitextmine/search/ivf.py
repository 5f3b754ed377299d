"""Search over the cells that both sides share: most of the neighbours for a small part of the products.

Both sides are assigned to the cells of one clustering. A source row looks into its nearest cells, and meets every
target row there; the one pass serves both directions. How many cells that takes is learnt from sampled rows whose
true neighbours are known, and the recall that is reported is that of other sampled rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.progress import Progress, silent
from bitextmine.search.cells import CellColumns, CellRows, Codes, assign, join, train_cells
from bitextmine.search.exact import SPARE
from bitextmine.search.floats import search_rows
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.quantize import ColumnBlock, Quantizer, row_sums
from bitextmine.search.rescore import Scorer
from bitextmine.search.scan import Best, merge
from bitextmine.search.sharing import share_out
from bitextmine.vectors import StoredVectors

LEAST_ROWS = 10_000  # below it there is nothing to gain
_SAMPLE_A_CELL = 40  # rows a centroid that k-means sees
_MOST_PROBES = 128
_HELD_OUT = 1024  # rows a side, half to choose the probes and half to measure
_Z = 1.96  # 95 %
_BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class IvfOptions:
    """`cells` and `probes` are chosen when not given: by size, and to reach `target_recall` (0..1)."""

    threads: int = 1
    target_recall: float = 0.99
    cells: int | None = None
    probes: int | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class IvfReport:
    """What was done, and how many of the true k neighbours of held-out rows of both sides it finds."""

    cells: int
    probes: int
    computed: float  # share of all products, 0..1
    recall: float
    recall_low: float  # Wilson's 95 % interval
    recall_high: float
    held_out: int  # neighbours that the recall was measured on


def search_ivf(
    src: StoredVectors,
    tgt: StoredVectors,
    k: int,
    *,
    options: IvfOptions = IvfOptions(),
    progress: Progress = silent,
) -> tuple[Neighbors, Neighbors, IvfReport]:
    """Most of the k nearest targets of each source row, and of the k nearest sources of each target row.

    Cosines are exact, and the result does not depend on the number of threads. Progress counts rows and cells.

    Raises:
        MismatchError: the sides differ in dimensions.
        ParameterError: a side is empty.
    """
    if src.dims != tgt.dims:
        raise MismatchError(f"vectors of {src.dims} and of {tgt.dims} dimensions cannot be compared")
    if not len(src) or not len(tgt):
        raise ParameterError("a search over cells needs rows on both sides")
    quantizer = Quantizer.fit(src, tgt)
    left, right = _codes(quantizer, src, "quantize-src", progress), _codes(quantizer, tgt, "quantize-tgt", progress)
    count = options.cells or cell_count(min(len(src), len(tgt)))
    centroids = train_cells(_sample(left, right, count, options.seed), count, options.threads, options.seed)
    cells = assign(right.codes, centroids, 1, options.threads)[:, 0]
    scorer = Scorer(src, tgt, options.threads)
    depths = _true_depths(scorer, left, cells, centroids, k, options)
    probes = options.probes or _choose_probes(depths[::2], options.target_recall, min(count, _MOST_PROBES))
    looks = CellRows.of(assign(left.codes, centroids, probes, options.threads), count)
    columns = CellColumns.of(right, cells, count)
    ahead, back = _join_all(left, looks, columns, len(tgt), k + SPARE, options.threads, progress)
    forward = _rescored(scorer, ahead, k, "rescore-forward", progress)
    backward = _rescored(scorer.reversed(), back, k, "rescore-backward", progress)
    sizes = np.diff(looks.begins) * np.bincount(cells, minlength=count)
    share = float(sizes.sum() / (len(src) * len(tgt)))
    return forward, backward, _report(count, probes, share, depths[1::2])


def cell_count(rows: int) -> int:
    """Cells for so many rows: about four times the square root, a power of two, at least 1."""
    return int(2 ** max(round(np.log2(4 * np.sqrt(max(rows, 1)))), 0)) if rows >= LEAST_ROWS else max(rows // 64, 1)


def _codes(quantizer: Quantizer, vectors: StoredVectors, stage: str, progress: Progress) -> Codes:
    first, _ = quantizer.quantize(vectors.block(0, 1))
    codes = np.empty((len(vectors), first.shape[1]), np.int8)
    starts = np.empty(len(vectors), np.int32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(vectors)))
        codes[rows], starts[rows] = quantizer.quantize(vectors.block(rows.start, rows.stop))
        progress(stage, rows.stop, len(vectors))
    return Codes(codes, starts)


def _sample(left: Codes, right: Codes, cells: int, seed: int) -> NDArray[np.int8]:
    """Rows of both sides for k-means."""
    rng = np.random.default_rng(seed)
    wanted = _SAMPLE_A_CELL * cells // 2 + 1
    parts = [
        side.codes[np.sort(rng.choice(len(side), min(wanted, len(side)), replace=False))] for side in (left, right)
    ]
    return np.concatenate(parts)


def _true_depths(
    scorer: Scorer, left: Codes, cells: NDArray[np.int32], centroids: ColumnBlock, k: int, options: IvfOptions
) -> NDArray[np.int64]:
    """For the true neighbours of held-out rows, both ways: how many cells must be looked into to meet them.

    One number a (row, neighbour); rows alternate, so that every second number belongs to another row.
    """
    rng = np.random.default_rng(options.seed + 1)
    most = min(centroids.columns, _MOST_PROBES)
    depths = []
    for way, of in ((scorer, True), (scorer.reversed(), False)):
        rows = np.sort(rng.choice(len(way.queries), min(_HELD_OUT, len(way.queries)), replace=False))
        truth = search_rows(way, rows, k)
        pairs = np.stack([np.repeat(rows, k), truth.ids.ravel()], axis=1)[truth.found.ravel()]
        src, tgt = (pairs[:, 0], pairs[:, 1]) if of else (pairs[:, 1], pairs[:, 0])
        looked = assign(left.codes[src], centroids, most, options.threads)
        hits = looked == cells[tgt][:, None]
        found = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.iinfo(np.int64).max)
        # interleave the rows of the two halves: neighbours of one row stay in one half
        half = (np.searchsorted(rows, pairs[:, 0]) % 2).astype(bool)
        size = min(int(half.sum()), int((~half).sum()))
        depths.append(np.stack([found[~half][:size], found[half][:size]], axis=1).ravel())
    return np.concatenate(depths)


def _choose_probes(depths: NDArray[np.int64], target: float, most: int) -> int:
    """The fewest cells with which this share of the neighbours is met; as many as allowed, where none suffices."""
    if not len(depths):
        return most
    return int(min(np.sort(depths)[min(int(np.ceil(target * len(depths))), len(depths)) - 1], most))


def _join_all(
    left: Codes, looks: CellRows, columns: CellColumns, m: int, count: int, threads: int, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Candidates of every source row and of every target row, as ids; MISSING where there are fewer."""
    lists = [Best.empty(len(left), count, len(left)) for _ in range(threads)]
    places = Best.empty(len(columns.ids), count, len(columns.ids))
    sums = row_sums(left.codes, left.starts)
    cells = len(columns.first_tiles) - 1
    for done in share_out(range(cells), lists, lambda cell, mine: join(left, sums, looks, columns, cell, mine, places)):
        progress("search", done, cells)
    back = np.full((m, count), MISSING, np.int64)
    back[columns.ids[columns.ids >= 0]] = places.ids[columns.ids >= 0]
    return merge(lists).ids.astype(np.int64), back


def _rescored(scorer: Scorer, candidates: NDArray[np.int64], k: int, stage: str, progress: Progress) -> Neighbors:
    found = Neighbors.none(len(candidates), k)
    for start in range(0, len(candidates), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(candidates)))
        part = scorer.best(rows, candidates[rows], k)
        found.ids[rows], found.sims[rows] = part.ids, part.sims
        scorer.release()
        progress(stage, start + len(rows), len(candidates))
    return found


def _report(cells: int, probes: int, share: float, depths: NDArray[np.int64]) -> IvfReport:
    low, high = wilson_interval(int((depths <= probes).sum()), len(depths))
    recall = float((depths <= probes).mean()) if len(depths) else 1.0
    return IvfReport(cells, probes, share, recall, low, high, len(depths))


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share of which `hits` of `count` were seen (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    share, z2 = hits / count, _Z**2 / count
    middle, reach = share + z2 / 2, _Z * np.sqrt(share * (1 - share) / count + z2 / (4 * count))
    return float((middle - reach) / (1 + z2)), float((middle + reach) / (1 + z2))
