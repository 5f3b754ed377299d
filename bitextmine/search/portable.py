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

from bitextmine.search.lists import offer
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
    """As `scan.scan`, for any CPU; `of_rows` and `of_columns` are (keys, bounds)."""
    for first in range(tiles.start, tiles.stop, _TILES):
        stop = min(first + _TILES, tiles.stop)
        unpacked = unpack(columns.codes[first:stop])
        there = np.arange(first * TILE_COLUMNS, min(stop * TILE_COLUMNS, columns.columns))
        for row in range(0, rows.rows, _ROWS):
            here = np.arange(row, min(row + _ROWS, rows.rows))
            take_sums(
                products(rows.codes[row : row + len(here)], unpacked),
                (rows.starts[here], columns.starts[there]),
                (here, here + offsets[0]),
                (there, there + offsets[1]),
                of_rows,
                of_columns,
            )


def products(rows: NDArray[np.int8], columns: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Sums of products, (rows, columns)."""
    shifted = rows.view(np.uint8) ^ np.uint8(_OFFSET)
    sums: NDArray[np.int32] = _session().run(None, {"rows": shifted, "columns": columns})[0]
    return sums


def unpack(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(tiles, depth, 32, 4) as (dimensions, columns)."""
    count, depth = tiles.shape[:2]
    return np.ascontiguousarray(tiles.transpose(1, 3, 0, 2).reshape(depth * DEPTH, count * TILE_COLUMNS))


@numba.njit(cache=True, nogil=True)
def take_sums(sums, starts, rows, columns, of_rows, of_columns):  # type: ignore[no-untyped-def]
    """Put products into the lists of their rows and columns.

    Args:
        sums: (rows, at least as many as columns).
        starts: what the sums of rows and of columns begin with, (rows,) and (columns,).
        rows, columns: where their lists stand, and their ids.
    """
    (row_starts, column_starts), m = starts, len(columns[0])
    for r in range(len(rows[0])):
        row = rows[0][r]
        for begin in range(0, m, _RUN):
            end = min(begin + _RUN, m)
            bound, most = of_rows[1][row] - row_starts[r], np.int32(-1)
            for c in range(begin, end):
                lower = min(bound, of_columns[1][columns[0][c]] - row_starts[r])
                most = max(most, np.int32(sums[r, c] + column_starts[c] - lower - 1))
            if most >= 0:
                for c in range(begin, end):
                    value = np.int32(sums[r, c] + row_starts[r] + column_starts[c])
                    offer(of_rows, row, value, columns[1][c])
                    offer(of_columns, columns[0][c], value, rows[1][r])
