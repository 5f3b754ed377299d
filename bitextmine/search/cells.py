"""The compiled parts of the cell search: clustering in 8 bits, and the join of both sides over the cells they share.

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

from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS, int8_tile
from bitextmine.search.quantize import ColumnBlock, RowBlock, pack, padded
from bitextmine.search.scan import HIGHEST, LOWEST, Best, scan

_ITERATIONS = 8
_ASSIGNED_ROWS = 1 << 14


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
    for _ in range(_ITERATIONS):
        nearest = assign(sample, centroid_columns(centroids), 1, threads)[:, 0]
        order = np.argsort(nearest, kind="stable")
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros((count, sample.shape[1]), np.float32)
        there = np.flatnonzero(sizes)
        begins = np.concatenate(([0], np.cumsum(sizes)[:-1]))[there]
        sums[there] = np.add.reduceat(sample[order], begins, axis=0, dtype=np.float32)
        centroids = np.rint(sums / np.maximum(sizes, 1)[:, None]).astype(np.int8)
        centroids[sizes == 0] = sample[rng.choice(len(sample), int((sizes == 0).sum()))]
    return centroid_columns(centroids)


def centroid_columns(centroids: NDArray[np.int8]) -> ColumnBlock:
    squares = np.einsum("nd,nd->n", centroids, centroids, dtype=np.int64)
    starts = np.zeros(padded(len(centroids), TILE_COLUMNS), np.int32)
    starts[: len(centroids)] = -(squares // 2)
    return ColumnBlock(pack(centroids), starts, len(centroids))


def assign(codes: NDArray[np.int8], centroids: ColumnBlock, count: int, threads: int) -> NDArray[np.int32]:
    """The `count` nearest cells of each row, nearest first: (n, count) int32."""
    cells = np.empty((len(codes), count), np.int32)
    idle = Best(
        np.empty((0, 1), np.int32), np.empty((0, 1), np.int32), np.full(len(centroids.starts), HIGHEST, np.int32)
    )

    def work(start: int) -> None:
        part = codes[start : start + _ASSIGNED_ROWS]
        rows = RowBlock.of(part, np.zeros(len(part), np.int32))
        best = Best.empty(len(part), count, len(rows.codes))
        scan(rows, centroids, range(len(centroids.codes)), best, idle, (0, 0))
        cells[start : start + len(part)] = best.ids

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, len(codes), _ASSIGNED_ROWS)))
    return cells


@dataclass(frozen=True, slots=True)
class CellColumns:
    """The right side ordered by cell, each cell padded to whole tiles."""

    codes: NDArray[np.uint8]  # (tiles, depth, 32, 4)
    starts: NDArray[np.int32]  # (tiles x 32,)
    ids: NDArray[np.int32]  # (tiles x 32,), the row that stands at a place; -1 for padding
    first_tiles: NDArray[np.int64]  # (cells + 1,)

    @classmethod
    def of(cls, side: Codes, cells: NDArray[np.int32], count: int) -> CellColumns:
        order = np.argsort(cells, kind="stable").astype(np.int32)
        sizes = np.bincount(cells, minlength=count)
        first_tiles = np.concatenate(([0], np.cumsum(-(-sizes // TILE_COLUMNS))))
        begins = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        places = np.repeat(first_tiles[:-1] * TILE_COLUMNS - begins, sizes) + np.arange(len(order))
        total = int(first_tiles[-1]) * TILE_COLUMNS
        ids, starts = np.full(total, -1, np.int32), np.zeros(total, np.int32)
        ids[places], starts[places] = order, side.starts[order]
        return cls(pack(side.codes, ids), starts, ids, first_tiles)


@dataclass(frozen=True, slots=True)
class CellRows:
    """For each cell the rows of the left side that look into it."""

    ids: NDArray[np.int32]
    begins: NDArray[np.int64]  # (cells + 1,)

    @classmethod
    def of(cls, probes: NDArray[np.int32], count: int) -> CellRows:
        """Args:
        probes: (n, p) cells that each row looks into.
        """
        flat = probes.ravel()
        order = np.argsort(flat, kind="stable")
        begins = np.concatenate(([0], np.cumsum(np.bincount(flat, minlength=count))))
        return cls((order // probes.shape[1]).astype(np.int32), begins)


def join(
    rows: Codes,
    row_sums: NDArray[np.int32],
    looks: CellRows,
    columns: CellColumns,
    cell: int,
    of_rows: Best,
    of_columns: Best,
) -> None:
    """All rows that look into a cell against all columns in it. Releases the GIL.

    Args:
        row_sums: (n,) what the sums of each row begin with.
        of_rows: lists of all rows, with places of columns as ids; for this thread alone.
        of_columns: lists of all places, with rows as ids; touched only at this cell's.
    """
    _join(
        rows.codes,
        row_sums,
        looks.ids[looks.begins[cell] : looks.begins[cell + 1]],
        columns.codes,
        columns.starts,
        columns.ids,
        (columns.first_tiles[cell], columns.first_tiles[cell + 1]),
        (of_rows.sums, of_rows.ids, of_rows.bounds),
        (of_columns.sums, of_columns.ids, of_columns.bounds),
    )


@numba.njit(cache=True, nogil=True)
def _join(codes, row_sums, row_ids, column_codes, column_starts, column_ids, tiles, of_rows, of_columns):  # type: ignore[no-untyped-def]
    stride, depth = codes.shape[1], column_codes.shape[1]
    panel = np.zeros((TILE_ROWS, stride), np.int8)
    starts, bounds = np.zeros(TILE_ROWS, np.int32), np.empty(TILE_ROWS, np.int32)
    sums, masks = np.empty((TILE_ROWS, TILE_COLUMNS), np.int32), np.empty(TILE_ROWS, np.uint32)
    panel_at, starts_at, bounds_at = panel.ctypes.data, starts.ctypes.data, bounds.ctypes.data
    columns_at, column_starts_at = column_codes.ctypes.data, column_starts.ctypes.data
    column_bounds_at, sums_at, masks_at = of_columns[2].ctypes.data, sums.ctypes.data, masks.ctypes.data
    tile_bytes = depth * TILE_COLUMNS * DEPTH
    for first in range(0, len(row_ids), TILE_ROWS):
        here = row_ids[first : first + TILE_ROWS]
        bounds[:] = HIGHEST
        for r in range(len(here)):
            panel[r], starts[r], bounds[r] = codes[here[r]], row_sums[here[r]], of_rows[2][here[r]]
        for tile in range(tiles[0], tiles[1]):
            column = tile * TILE_COLUMNS
            if int8_tile(
                panel_at,
                np.int64(stride),
                columns_at + tile * tile_bytes,
                np.int64(depth),
                starts_at,
                column_starts_at + 4 * column,
                bounds_at,
                column_bounds_at + 4 * column,
                sums_at,
                masks_at,
            ):
                _take_joined(sums, masks, here, column, column_ids, bounds, of_rows, of_columns)


@numba.njit(cache=True, nogil=True)
def _take_joined(sums, masks, rows, column, column_ids, bounds, of_rows, of_columns):  # type: ignore[no-untyped-def]
    for r in range(len(rows)):
        mask, c = masks[r], 0
        while mask:
            if mask & np.uint32(1) and column_ids[column + c] >= 0:
                insert_ordered(of_rows, rows[r], sums[r, c], column_ids[column + c])
                insert_ordered(of_columns, column + c, sums[r, c], rows[r])
                bounds[r] = of_rows[2][rows[r]]
            mask >>= np.uint32(1)
            c += 1


@numba.njit(cache=True, nogil=True)
def insert_ordered(best, at, value, identifier):  # type: ignore[no-untyped-def]
    """Insert by falling sum, then by rising id, in whatever order candidates come; the bound lets equal ones in."""
    sums, ids, bounds = best
    place = sums.shape[1]
    while place > 0 and (
        sums[at, place - 1] < value or (sums[at, place - 1] == value and ids[at, place - 1] > identifier)
    ):
        place -= 1
    if place == sums.shape[1]:
        return
    for later in range(sums.shape[1] - 1, place, -1):
        sums[at, later], ids[at, later] = sums[at, later - 1], ids[at, later - 1]
    sums[at, place], ids[at, place] = value, identifier
    bounds[at] = max(sums[at, -1] - 1, LOWEST)
