"""The scan of the similarity matrix: tile by tile, the best of each row and of each column so far.

A list of best candidates is sorted by falling sum, equal ones by rising id, and meets candidates in order of ids: one
enters only if it beats the last strictly. So the lists do not depend on how the matrix is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS, has_int8_tile, int8_tile
from bitextmine.search.portable import offer, scan_portable
from bitextmine.search.quantize import ColumnBlock, RowBlock

LOWEST = -(1 << 30)  # no sum is so low
HIGHEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Best:
    """The best candidates of n rows (or columns) so far."""

    sums: NDArray[np.int32]  # (n, c), falling; LOWEST where there is none yet
    ids: NDArray[np.int32]  # (n, c); -1 where there is none yet
    bounds: NDArray[np.int32]  # (padded n,), the last sum of each list; HIGHEST beyond n

    @classmethod
    def empty(cls, n: int, count: int, padded: int) -> Best:
        bounds = np.full(padded, HIGHEST, np.int32)
        bounds[:n] = LOWEST
        return cls(np.full((n, count), LOWEST, np.int32), np.full((n, count), -1, np.int32), bounds)


def scan(
    rows: RowBlock,
    columns: ColumnBlock,
    tiles: range,
    of_rows: Best,
    of_columns: Best,
    offsets: tuple[int, int],
    *,
    portable: bool | None = None,
) -> None:
    """All rows against the columns of some tiles; updates both lists. Releases the GIL.

    Args:
        tiles: consecutive tiles of `columns`.
        of_rows: lists of this block's rows, for this thread alone.
        of_columns: lists of this block's columns, touched only at these tiles.
        offsets: what to add to a row's and to a column's position in its block to get its id.
        portable: whether to do without AVX-512 VNNI; by default where there is none.
    """
    row_lists = (of_rows.sums, of_rows.ids, of_rows.bounds)
    column_lists = (of_columns.sums, of_columns.ids, of_columns.bounds)
    if portable or (portable is None and not has_int8_tile()):
        scan_portable(rows, columns, tiles, row_lists, column_lists, offsets)
        return
    row_side, column_side = (rows.codes, rows.starts, rows.rows), (columns.codes, columns.starts, columns.columns)
    _scan(row_side, column_side, (tiles.start, tiles.stop), row_lists, column_lists, offsets)


@numba.njit(cache=True, nogil=True)
def _scan(row_side, column_side, tiles, of_rows, of_columns, offsets):  # type: ignore[no-untyped-def]
    row_codes, row_starts, n = row_side
    column_codes, column_starts, m = column_side
    stride, depth = row_codes.shape[1], column_codes.shape[1]
    sums, masks = np.empty((TILE_ROWS, TILE_COLUMNS), np.int32), np.empty(TILE_ROWS, np.uint32)
    rows_at, starts_at = row_codes.ctypes.data, row_starts.ctypes.data
    columns_at, column_starts_at = column_codes.ctypes.data, column_starts.ctypes.data
    row_bounds_at, column_bounds_at = of_rows[2].ctypes.data, of_columns[2].ctypes.data
    sums_at, masks_at = sums.ctypes.data, masks.ctypes.data
    tile_bytes = depth * TILE_COLUMNS * DEPTH
    for row in range(0, n, TILE_ROWS):
        for tile in range(tiles[0], tiles[1]):
            column = tile * TILE_COLUMNS
            if int8_tile(
                rows_at + row * stride,
                np.int64(stride),
                columns_at + tile * tile_bytes,
                np.int64(depth),
                starts_at + 4 * row,
                column_starts_at + 4 * column,
                row_bounds_at + 4 * row,
                column_bounds_at + 4 * column,
                sums_at,
                masks_at,
            ):
                _take(sums, masks, (row, n), (column, m), of_rows, of_columns, offsets)


@numba.njit(cache=True, nogil=True)
def _take(sums, masks, rows, columns, of_rows, of_columns, offsets):  # type: ignore[no-untyped-def]
    """Put what a tile found into the lists of its rows and columns."""
    for r in range(min(TILE_ROWS, rows[1] - rows[0])):
        mask, c = masks[r], 0
        while mask:
            if mask & np.uint32(1) and columns[0] + c < columns[1]:
                offer(of_rows, of_columns, rows[0] + r, columns[0] + c, sums[r, c], offsets)
            mask >>= np.uint32(1)
            c += 1


def merge(parts: list[Best]) -> Best:
    """The best of several threads' lists of the same rows."""
    merged = parts[0]
    for part in parts[1:]:
        _merge(merged.sums, merged.ids, part.sums, part.ids)
    return merged


@numba.njit(cache=True, nogil=True)
def _merge(sums, ids, more_sums, more_ids):  # type: ignore[no-untyped-def]
    """Merge sorted lists, equal sums by rising id, into the first."""
    n, count = sums.shape
    kept_sums, kept_ids = np.empty(count, np.int32), np.empty(count, np.int32)
    for row in range(n):
        a, b = 0, 0
        for place in range(count):
            first = sums[row, a] > more_sums[row, b] or (
                sums[row, a] == more_sums[row, b] and (more_ids[row, b] < 0 or 0 <= ids[row, a] < more_ids[row, b])
            )
            if first:
                kept_sums[place], kept_ids[place] = sums[row, a], ids[row, a]
                a += 1
            else:
                kept_sums[place], kept_ids[place] = more_sums[row, b], more_ids[row, b]
                b += 1
        sums[row], ids[row] = kept_sums, kept_ids
