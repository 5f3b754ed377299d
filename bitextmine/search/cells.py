"""Cells of a side's vectors: clustering and assignment in 8 bits.

A cell is the set of vectors nearest to a centroid. Distances need no arithmetic beyond the tile kernel's: with
|x - c|^2 = |x|^2 - 2 (<x, c> - |c|^2 / 2), the nearest centroid is that of the highest <x, c> - |c|^2 / 2, and the
second part is what a column's sums begin with.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.lists import HIGHEST, Best, ids_of, list_length, merge
from bitextmine.search.native import TILE_COLUMNS
from bitextmine.search.portable import products, unpack
from bitextmine.search.quantize import ColumnBlock, RowBlock, pack, padded
from bitextmine.search.scan import scan
from bitextmine.search.sharing import share_out

ITERATIONS = 8
_ASSIGNED_ROWS = 1 << 13
_SCORES = 1 << 21  # that are held at a time


@dataclass(frozen=True, slots=True)
class Codes:
    """One side in 8 bits: signed bytes (n, depth x 4), and the mean's part of each row's sums (n,) int32."""

    codes: NDArray[np.int8]
    starts: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)


def train_cells(sample: NDArray[np.int8], count: int, threads: int, seed: int) -> ColumnBlock:
    """k-means over a sample: `count` centroids, packed as columns whose sums order cells by distance.

    Args:
        sample: (rows, depth x 4) codes, more rows than centroids. An empty cell begins anew at a random row.
    """
    rng = np.random.default_rng(seed)
    centroids = sample[rng.choice(len(sample), count, replace=False)]
    for _ in range(ITERATIONS):
        nearest = assign(sample, centroid_columns(centroids), threads)
        sums, sizes = np.zeros(centroids.shape, np.int32), np.zeros(count, np.int32)
        _add_up(sample, nearest, sums, sizes)
        centroids = np.rint(sums / np.maximum(sizes, 1)[:, None]).astype(np.int8)
        centroids[sizes == 0] = sample[rng.choice(len(sample), int((sizes == 0).sum()))]
    return centroid_columns(centroids)


@numba.njit(cache=True, nogil=True)
def _add_up(sample, nearest, sums, sizes):  # type: ignore[no-untyped-def]
    for row in range(len(sample)):
        cell = nearest[row]
        sizes[cell] += 1
        for j in range(sample.shape[1]):
            sums[cell, j] += sample[row, j]


def centroid_columns(centroids: NDArray[np.int8]) -> ColumnBlock:
    squares = np.einsum("nd,nd->n", centroids, centroids, dtype=np.int64)
    starts = np.zeros(padded(len(centroids), TILE_COLUMNS), np.int32)
    starts[: len(centroids)] = -(squares // 2)
    return ColumnBlock(pack(centroids), starts, len(centroids))


def assign(codes: NDArray[np.int8], centroids: ColumnBlock, threads: int) -> NDArray[np.int32]:
    """The nearest cell of each row, (n,)."""
    cells, length = np.empty(len(codes), np.int32), list_length(1)
    idle = Best(np.empty((0, 1), np.int64), np.full(len(centroids.starts), HIGHEST, np.int32))

    def work(start: int) -> None:
        part = codes[start : start + _ASSIGNED_ROWS]
        rows = RowBlock.of(part, np.zeros(len(part), np.int32))
        best = Best.empty(len(part), length, len(rows.codes))
        scan(rows, centroids, range(len(centroids.codes)), best, idle, (0, 0))
        cells[start : start + len(part)] = ids_of(best.keys[:, 0])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(codes), _ASSIGNED_ROWS)))
    return cells


def nearest_cells(codes: NDArray[np.int8], centroids: ColumnBlock, count: int, threads: int) -> NDArray[np.int32]:
    """The `count` nearest cells of each row, in no order: (n, count)."""
    cells, step = np.empty((len(codes), count), np.int32), max(_SCORES // centroids.columns, 1)

    def work(start: int) -> None:
        part = slice(start, start + step)
        scores = cell_scores(codes[part], centroids)
        cells[part] = np.argpartition(scores, -count, axis=1)[:, -count:]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(codes), step)))
    return cells


def cell_scores(codes: NDArray[np.int8], centroids: ColumnBlock) -> NDArray[np.int32]:
    """For each row and cell a number that is the higher, the nearer they are: (n, cells)."""
    sums = products(codes, unpack(centroids.codes))[:, : centroids.columns]
    sums += centroids.starts[: centroids.columns]
    return sums


def nearest_of_few(few: Codes, many: Codes, count: int, threads: int) -> NDArray[np.int64]:
    """For some rows of one side the `count` best of all rows of the other by 8-bit sums: (few, count) ids.

    `count` is a multiple of 8.
    """
    columns = ColumnBlock(pack(few.codes), np.pad(few.starts, (0, -len(few) % TILE_COLUMNS)), len(few))
    lists = [Best.empty(len(few), count, len(columns.starts)) for _ in range(threads)]

    def work(start: int, mine: Best) -> None:
        part = slice(start, start + _ASSIGNED_ROWS)
        rows = RowBlock.of(many.codes[part], many.starts[part])
        idle = Best(np.empty((0, 1), np.int64), np.full(len(rows.codes), HIGHEST, np.int32))
        scan(rows, columns, range(len(columns.codes)), idle, mine, (start, 0))

    for _ in share_out(range(0, len(many), _ASSIGNED_ROWS), lists, work):
        pass
    return ids_of(merge(lists).keys)
