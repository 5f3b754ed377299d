"""Search over the cells that both sides share: most of the neighbours for a small part of the products.

Both sides are assigned to the cells of one clustering. A source row looks into its nearest cells, and meets every
target row there; the one pass serves both directions. How many cells that takes is learnt from sampled rows whose
true neighbours are known, and the recall that is reported is that of other sampled rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.progress import Progress, silent
from bitextmine.search.cells import Codes, assign, cell_scores, nearest_cells, nearest_of_few, train_cells
from bitextmine.search.certify import certain_neighbors
from bitextmine.search.join import CellColumns, CellRows, join
from bitextmine.search.lists import Best, ids_of, list_length, merge
from bitextmine.search.native import DEPTH
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.quantize import ColumnBlock, Quantizer, padded
from bitextmine.search.recall import wilson_interval
from bitextmine.search.rescore import Scorer
from bitextmine.search.sharing import share_out
from bitextmine.vectors import StoredVectors

_CELLS = 0.04
LEAST_ROWS = 10_000  # below it there is nothing to gain
SAMPLE_A_CELL = 128  # rows a centroid that k-means sees
HELD_OUT = 2048  # rows a side, half to choose the probes and half to measure
_BLOCK_ROWS = 8192
_QUANTIZED_ROWS = 512
JOINED = 1 << 26  # (row, cell) pairs that are sorted at a time


@dataclass(frozen=True, slots=True)
class IvfOptions:
    """`cells` and `probes` are chosen when not given: by size, and to reach `target_recall` (0..1)."""

    threads: int = 1
    target_recall: float = 0.99
    cells: int | None = None
    probes: int | None = None
    seed: int = 1
    portable: bool | None = None  # see `scan`


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
    left, right = (
        _codes(quantizer, side, options.threads, f"quantize-{name}", progress)
        for side, name in ((src, "src"), (tgt, "tgt"))
    )
    count = options.cells or cell_count(min(len(src), len(tgt)))
    centroids = train_cells(_sample(left, right, count, options.seed), count, options.threads, options.seed)
    cells = assign(right.codes, centroids, options.threads)
    scorer = Scorer(src, tgt, options.threads)
    depths = _true_depths(scorer, (left, right), cells, centroids, k, options)
    probes = min(options.probes or _choose_probes(depths[::2], options.target_recall, most_probes(count)), count)
    columns = CellColumns.of(right, cells, count)
    ahead, back, products = _join_all(left, centroids, probes, columns, list_length(k), options, progress)
    forward = _rescored(scorer, ahead, k, "rescore-forward", progress)
    backward = _rescored(scorer.reversed(), back, k, "rescore-backward", progress)
    return forward, backward, _report(count, probes, products / (len(src) * len(tgt)), depths[1::2])


def cell_count(rows: int) -> int:
    """Cells for so many rows: a power of two that grows with the power 3/4, 512 for 300,000; at least 1.

    With more cells fewer products reach the same recall, but rows meet fewer columns each time they are fetched.
    """
    return int(2 ** round(np.log2(_CELLS * rows**0.75))) if rows >= LEAST_ROWS else max(rows // 64, 1)


def most_probes(cells: int) -> int:
    """Cells that a row looks into at most: beyond, the exact search is as fast."""
    return max(cells // 2, min(cells, 32))


def _codes(quantizer: Quantizer, vectors: StoredVectors, threads: int, stage: str, progress: Progress) -> Codes:
    codes = np.empty((len(vectors), padded(vectors.dims, DEPTH)), np.int8)
    starts = np.empty(len(vectors), np.int32)

    def quantize(start: int, _: None) -> None:
        rows = slice(start, min(start + _QUANTIZED_ROWS, len(vectors)))
        codes[rows], starts[rows] = quantizer.quantize(vectors.block(rows.start, rows.stop))

    for done in share_out(range(0, len(vectors), _QUANTIZED_ROWS), [None] * threads, quantize):
        progress(stage, min(done * _QUANTIZED_ROWS, len(vectors)), len(vectors))
    return Codes(codes, starts)


def _sample(left: Codes, right: Codes, cells: int, seed: int) -> NDArray[np.int8]:
    """Rows of both sides for k-means."""
    rng = np.random.default_rng(seed)
    wanted = SAMPLE_A_CELL * cells // 2 + 1
    parts = [
        side.codes[np.sort(rng.choice(len(side), min(wanted, len(side)), replace=False))] for side in (left, right)
    ]
    return np.concatenate(parts)


def _true_depths(
    scorer: Scorer,
    sides: tuple[Codes, Codes],
    cells: NDArray[np.int32],
    centroids: ColumnBlock,
    k: int,
    options: IvfOptions,
) -> NDArray[np.int64]:
    """For the true neighbours of held-out rows, both ways: how many cells must be looked into to meet them.

    One number a (row, neighbour); rows alternate, so that every second number belongs to another row.
    """
    rng = np.random.default_rng(options.seed + 1)
    depths = []
    for way, (few, many) in ((scorer, sides), (scorer.reversed(), sides[::-1])):
        rows = np.sort(rng.choice(len(few), min(HELD_OUT, len(few)), replace=False))
        sampled = Codes(few.codes[rows], few.starts[rows])
        truth = way.best(rows, nearest_of_few(sampled, many, list_length(k), options.threads), k)
        pairs = np.stack([np.repeat(rows, k), truth.ids.ravel()], axis=1)[truth.found.ravel()]
        src, tgt = pairs.T if few is sides[0] else pairs.T[::-1]
        scores = cell_scores(sides[0].codes[src], centroids)
        found = (scores > scores[np.arange(len(tgt)), cells[tgt]][:, None]).sum(axis=1) + 1
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
    left: Codes,
    centroids: ColumnBlock,
    probes: int,
    columns: CellColumns,
    count: int,
    options: IvfOptions,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Candidates of every source and every target row, as ids, MISSING where there are fewer; products computed."""
    n, cells = len(left), len(columns.first_tiles) - 1
    step = max(JOINED // probes, _BLOCK_ROWS)
    ahead, places, products = np.empty((n, count), np.int64), Best.empty(len(columns.ids), count, len(columns.ids)), 0
    for start in range(0, n, step):
        rows = Codes(left.codes[start : start + step], left.starts[start : start + step])
        looks = CellRows.of(rows, start, nearest_cells(rows.codes, centroids, probes, options.threads), cells)
        lists = [Best.empty(len(rows), count, len(rows)) for _ in range(options.threads)]
        for done in share_out(range(cells), lists, partial(_join_cell, looks, columns, places, options)):
            progress("search", start * cells + done * len(rows), n * cells)
        ahead[start : start + step] = ids_of(merge(lists).keys)
        products += int(np.diff(looks.begins) @ columns.sizes)
    back = np.full((columns.rows, count), MISSING, np.int64)
    back[columns.ids[columns.ids >= 0]] = ids_of(places.keys[columns.ids >= 0])
    return ahead, back, products


def _join_cell(looks: CellRows, columns: CellColumns, places: Best, options: IvfOptions, cell: int, mine: Best) -> None:
    join(looks, columns, cell, mine, places, portable=options.portable)


def _rescored(scorer: Scorer, ids: NDArray[np.int64], k: int, stage: str, progress: Progress) -> Neighbors:
    """The k best of the candidates: which neighbours are not among them, nobody knows, so none is searched again."""
    return certain_neighbors(scorer, lambda rows: (ids[rows], np.full(len(rows), -np.inf)), k, stage, progress)[0]


def _report(cells: int, probes: int, share: float, depths: NDArray[np.int64]) -> IvfReport:
    low, high = wilson_interval(int((depths <= probes).sum()), len(depths))
    recall = float((depths <= probes).mean()) if len(depths) else 1.0
    return IvfReport(cells, probes, share, recall, low, high, len(depths))
