"""The join of both sides over the cells that they share: rows that look into a cell against the columns in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.cells import Codes
from bitextmine.search.lists import HIGHEST, Best, offer
from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS, has_int8_tile, int8_tile, lowest_bit, prefetch
from bitextmine.search.portable import products, take_sums, unpack
from bitextmine.search.quantize import pack, row_sums

_JOINED_ROWS = 1024
_LINE = 64  # bytes of a cache line


@dataclass(frozen=True, slots=True)
class CellColumns:
    """The right side ordered by cell, each cell padded to whole tiles."""

    codes: NDArray[np.uint8]  # (tiles, depth, 32, 4)
    starts: NDArray[np.int32]  # (tiles x 32,)
    ids: NDArray[np.int32]  # (tiles x 32,), the row that stands at a place; -1 for padding
    first_tiles: NDArray[np.int64]  # (cells + 1,)
    sizes: NDArray[np.int64]  # (cells,)

    @property
    def rows(self) -> int:
        return int(self.sizes.sum())

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
        return cls(pack(side.codes, ids), starts, ids, first_tiles, sizes)


@dataclass(frozen=True, slots=True)
class CellRows:
    """For each cell the rows of a part of the left side that look into it."""

    codes: NDArray[np.int32]  # (n, depth), four bytes each: copied by bytes they would take longer
    sums: NDArray[np.int32]  # (n,), what their sums begin with
    start: int  # the id of the first one
    places: NDArray[np.int32]  # of the rows in this part, cell by cell
    begins: NDArray[np.int64]  # (cells + 1,)

    @classmethod
    def of(cls, part: Codes, start: int, probes: NDArray[np.int32], count: int) -> CellRows:
        """Args:
        probes: (n, p) cells that each row looks into, of `count`.
        """
        begins = np.zeros(count + 1, np.int64)
        places = np.empty(probes.size, np.int32)
        _sort_by_cell(probes, begins, places)
        return cls(part.codes.view(np.int32), row_sums(part.codes, part.starts), start, places, begins)


@numba.njit(cache=True, nogil=True)
def _sort_by_cell(probes, begins, places):  # type: ignore[no-untyped-def]
    """Rows by cell, rising within each: a counting sort."""
    for cell in probes.flat:
        begins[cell + 1] += 1
    for cell in range(len(begins) - 1):
        begins[cell + 1] += begins[cell]
    following = begins[:-1].copy()
    for row in range(len(probes)):
        for cell in probes[row]:
            places[following[cell]] = row
            following[cell] += 1


def join(
    looks: CellRows, columns: CellColumns, cell: int, of_rows: Best, of_columns: Best, *, portable: bool | None = None
) -> None:
    """All rows that look into a cell against all columns in it. Releases the GIL.

    Args:
        of_rows: lists of the part's rows; for this thread alone.
        of_columns: lists of all places of columns; touched only at this cell's.
        portable: see `scan`.
    """
    here = looks.places[looks.begins[cell] : looks.begins[cell + 1]]
    tiles = columns.first_tiles[cell], columns.first_tiles[cell + 1]
    row_lists, column_lists = (of_rows.keys, of_rows.bounds), (of_columns.keys, of_columns.bounds)
    if portable or (portable is None and not has_int8_tile()):
        _join_portable(looks, here, columns, tiles, row_lists, column_lists)
        return
    column_side = (columns.codes, columns.starts, columns.ids)
    _join((looks.codes, looks.sums, here, looks.start), column_side, tiles, row_lists, column_lists)


@numba.njit(cache=True, nogil=True)
def _join(rows, columns, tiles, of_rows, of_columns):  # type: ignore[no-untyped-def]
    codes, row_sums, row_places, start = rows
    stride, depth = codes.shape[1] * DEPTH, columns[0].shape[1]
    panel = np.zeros((TILE_ROWS, codes.shape[1]), np.int32)
    starts, bounds = np.zeros(TILE_ROWS, np.int32), np.empty(TILE_ROWS, np.int32)
    sums, masks = np.empty((TILE_ROWS, TILE_COLUMNS), np.int32), np.empty(TILE_ROWS, np.uint32)
    panel_at, starts_at, bounds_at = panel.ctypes.data, starts.ctypes.data, bounds.ctypes.data
    columns_at, column_starts_at = columns[0].ctypes.data, columns[1].ctypes.data
    column_bounds_at, sums_at, masks_at = of_columns[1].ctypes.data, sums.ctypes.data, masks.ctypes.data
    tile_bytes, list_bytes = depth * TILE_COLUMNS * DEPTH, of_rows[0].shape[1] * 8
    for first in range(0, len(row_places), TILE_ROWS):
        here = row_places[first : first + TILE_ROWS]
        bounds[:] = HIGHEST
        for r in range(len(here)):
            for word in range(stride // DEPTH):
                panel[r, word] = codes[here[r], word]
            starts[r], bounds[r] = row_sums[here[r]], of_rows[1][here[r]]
        for later in row_places[first + TILE_ROWS : first + 2 * TILE_ROWS]:
            for line in range(0, stride, _LINE):
                prefetch(codes.ctypes.data + np.int64(later) * stride + line)
            prefetch(row_sums.ctypes.data + np.int64(later) * 4)
            prefetch(of_rows[1].ctypes.data + np.int64(later) * 4)
            for line in range(0, list_bytes, _LINE):
                prefetch(of_rows[0].ctypes.data + np.int64(later) * list_bytes + line)
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
                _take_joined((sums, masks), here, column, (columns[2], start), bounds, of_rows, of_columns)


@numba.njit(cache=True, nogil=True)
def _take_joined(found, rows, column, ids, bounds, of_rows, of_columns):  # type: ignore[no-untyped-def]
    sums, masks = found
    for r in range(len(rows)):
        mask = masks[r]
        while mask:
            c = lowest_bit(mask)
            mask &= mask - np.uint32(1)
            if ids[0][column + c] >= 0:
                offer(of_rows, rows[r], sums[r, c], ids[0][column + c])
                offer(of_columns, column + c, sums[r, c], ids[1] + rows[r])
        bounds[r] = of_rows[1][rows[r]]


def _join_portable(
    looks: CellRows,
    row_places: NDArray[np.int32],
    columns: CellColumns,
    tiles: tuple[int, int],
    of_rows: Any,
    of_columns: Any,
) -> None:
    places = np.arange(tiles[0] * TILE_COLUMNS, tiles[1] * TILE_COLUMNS)
    places = places[columns.ids[places] >= 0]  # padding stands last
    if not len(places):
        return
    unpacked = unpack(columns.codes[tiles[0] : tiles[1]])
    for first in range(0, len(row_places), _JOINED_ROWS):
        here = row_places[first : first + _JOINED_ROWS]
        starts = looks.sums[here], columns.starts[places]
        sums = products(looks.codes[here].view(np.int8), unpacked)
        take_sums(sums, starts, (here, looks.start + here), (places, columns.ids[places]), of_rows, of_columns)
