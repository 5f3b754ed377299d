"""The scan of the similarity matrix: tile by tile, the best of each row and of each column so far."""

from __future__ import annotations

import numba
import numpy as np

from bitextmine.search.lists import Best, offer
from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS, has_int8_tile, int8_tile, lowest_bit
from bitextmine.search.portable import scan_portable
from bitextmine.search.quantize import ColumnBlock, RowBlock


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
    row_lists, column_lists = (of_rows.keys, of_rows.bounds), (of_columns.keys, of_columns.bounds)
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
    row_bounds_at, column_bounds_at = of_rows[1].ctypes.data, of_columns[1].ctypes.data
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
        row, mask = rows[0] + r, masks[r]
        while mask:
            c = lowest_bit(mask)
            mask &= mask - np.uint32(1)
            column = columns[0] + c
            if column < columns[1]:
                offer(of_rows, row, sums[r, c], offsets[1] + column)
                offer(of_columns, column, sums[r, c], offsets[0] + row)
