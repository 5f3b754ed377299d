"""The scan for CPUs without AVX-512 VNNI: products by ONNX Runtime, which has a kernel for every CPU, then one look.

ONNX Runtime's MatMulInteger picks AVX2, AVX-VNNI, AMX or NEON code by itself. What it gives is read once more, in runs
of 64 sums whose maximum tells whether any of them matters.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import DEPTH, TILE_COLUMNS
from bitextmine.search.quantize import ColumnBlock, RowBlock

_ROWS = 1024
_TILES = 64
_RUN = 64
_OFFSET = 128


@cache
def _session() -> Any:
    """A one-node graph: rows (uint8, 128 too large) times columns (uint8), in int32. Shared by threads."""
    import onnxruntime
    from onnx import TensorProto, helper

    node = helper.make_node("MatMulInteger", ["rows", "columns", "offset"], ["sums"])
    graph = helper.make_graph(
        [node],
        "products",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, [None, None]) for name in ("rows", "columns")],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [None, None])],
        [helper.make_tensor("offset", TensorProto.UINT8, [], [_OFFSET])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the scan has threads of its own
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def scan_portable(
    rows: RowBlock, columns: ColumnBlock, tiles: range, of_rows: Any, of_columns: Any, offsets: tuple[int, int]
) -> None:
    """As `scan.scan`, for any CPU; `of_rows` and `of_columns` are (sums, ids, bounds), offsets those of ids."""
    for first in range(tiles.start, tiles.stop, _TILES):
        part = range(first, min(first + _TILES, tiles.stop))
        unpacked = _unpacked(columns.codes[part.start : part.stop])
        for row in range(0, rows.rows, _ROWS):
            stop = min(row + _ROWS, rows.rows)
            shifted = rows.codes[row:stop].view(np.uint8) ^ np.uint8(_OFFSET)
            sums = _session().run(None, {"rows": shifted, "columns": unpacked})[0]
            column = part.start * TILE_COLUMNS
            _take_sums(
                sums,
                rows.starts,
                columns.starts,
                (row, column, min(columns.columns - column, sums.shape[1])),
                of_rows,
                of_columns,
                offsets,
            )


def _unpacked(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(tiles, depth, 32, 4) as (dimensions, columns)."""
    count, depth = tiles.shape[:2]
    return np.ascontiguousarray(tiles.transpose(1, 3, 0, 2).reshape(depth * DEPTH, count * TILE_COLUMNS))


@numba.njit(cache=True, nogil=True)
def _take_sums(sums, row_starts, column_starts, place, of_rows, of_columns, offsets):  # type: ignore[no-untyped-def]
    from_row, from_column, m = place
    for r in range(sums.shape[0]):
        row = from_row + r
        for begin in range(0, m, _RUN):
            end = min(begin + _RUN, m)
            bound, most = of_rows[2][row] - row_starts[row], np.int32(-1)
            for c in range(begin, end):
                column = from_column + c
                value = sums[r, c] + column_starts[column]
                lower = min(bound, of_columns[2][column] - row_starts[row])
                most = max(most, np.int32(value - lower - 1))
            if most >= 0:
                for c in range(begin, end):
                    value = np.int32(sums[r, c] + row_starts[row] + column_starts[from_column + c])
                    offer(of_rows, of_columns, row, from_column + c, value, offsets)


@numba.njit(cache=True, nogil=True)
def offer(of_rows, of_columns, row, column, value, offsets):  # type: ignore[no-untyped-def]
    """Put a sum into the lists of its row and its column, where it beats their last ones."""
    if value > of_rows[2][row]:
        _insert(of_rows, row, value, offsets[1] + column)
    if value > of_columns[2][column]:
        _insert(of_columns, column, value, offsets[0] + row)


@numba.njit(cache=True, nogil=True)
def _insert(best, at, value, identifier):  # type: ignore[no-untyped-def]
    sums, ids, bounds = best
    place = sums.shape[1] - 1
    while place > 0 and sums[at, place - 1] < value:
        sums[at, place], ids[at, place] = sums[at, place - 1], ids[at, place - 1]
        place -= 1
    sums[at, place], ids[at, place] = value, identifier
    bounds[at] = sums[at, -1]
