"""Exact search in one pass: the similarity matrix is computed once, in 8 bits, for both directions.

Each tile of sums updates the best c candidates of its rows and of its columns (c = k and some to spare). The
candidates are rescored exactly. A row is certified when its k-th exact cosine lies above the last candidate's
approximate one by more than the error that the 8 bits make (six standard deviations, measured); the other rows are
searched again in float32.

What is `known` of the first rows of both sides is not searched again; see there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError, ParameterError
from bitextmine.progress import Progress, silent
from bitextmine.resources import format_bytes
from bitextmine.search.certify import CHECKED_ROWS, DEVIATIONS, Candidates, certain_neighbors, wrong_rows
from bitextmine.search.floats import search_rows
from bitextmine.search.known import NO_FLOORS, NOTHING, Floors, Known
from bitextmine.search.lists import Best, ids_of, list_length, merge, sums_of
from bitextmine.search.native import TILE_COLUMNS
from bitextmine.search.neighbors import MISSING, Neighbors
from bitextmine.search.quantize import ColumnBlock, Quantizer, RowBlock, column_block, padded, row_block
from bitextmine.search.rescore import Scorer
from bitextmine.search.scan import scan
from bitextmine.search.sharing import share_out
from bitextmine.vectors import StoredVectors

_MOST_COLUMNS = 1 << 17
_CHUNK_BYTES = 512 << 10  # of columns that stay in the L2 cache while all rows pass
_ERROR_ROWS = 512
_FEW_QUERIES = 1_024
_LIST_BYTES, _FOUND_BYTES = 8, 12  # of a candidate and of a neighbour
_PROCESS_BYTES = 700 << 20  # the interpreter, blocks being quantised, pages of the vectors while they are rescored
_LEAST_ROWS = 1 << 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExactOptions:
    """How the work is cut; none of it changes the result.

    `rows` and `columns` (a multiple of 32) are what is held of the 8-bit matrices at a time. `portable` is for tests:
    see `scan`.
    """

    threads: int = 1
    rows: int = 1 << 20
    columns: int = _MOST_COLUMNS
    portable: bool | None = None

    @classmethod
    def within(cls, memory_bytes: int, n: int, m: int, dims: int, k: int, threads: int) -> ExactOptions:
        """The largest blocks for which a search of n against m rows stays below so much resident memory.

        Raises:
            ParameterError: `memory-too-small`: not even small blocks fit.
        """
        count = list_length(k)
        columns = min(padded(max(m, 1), TILE_COLUMNS), _MOST_COLUMNS)
        lists = (n + m) * (count * _LIST_BYTES + k * _FOUND_BYTES)
        fixed = _PROCESS_BYTES + lists + columns * (dims + 8)
        a_row = dims + 8 + threads * (count * _LIST_BYTES + 4)
        rows = min((memory_bytes - fixed) // a_row, max(n, 1))
        if rows < min(n, _LEAST_ROWS):
            needed = format_bytes(fixed + a_row * min(n, _LEAST_ROWS))
            message = f"{n:,} x {m:,} rows need {needed} of memory at least, not {format_bytes(memory_bytes)}"
            raise ParameterError(message, code="memory-too-small")
        return cls(threads, max(int(rows), 1), columns)


@dataclass(frozen=True, slots=True)
class ExactReport:
    """What the search can say of itself, for each direction."""

    error: float  # standard deviation of the 8-bit cosines below the exact ones
    recomputed: tuple[int, int]  # rows that were not certified and searched again in float32
    checked: tuple[int, int]  # rows compared with a float32 search
    wrong: tuple[int, int]  # those that differ: 0, or there is a defect


def search_exact(
    src: StoredVectors,
    tgt: StoredVectors,
    k: int,
    *,
    options: ExactOptions = ExactOptions(),
    known: Known = NOTHING,
    progress: Progress = silent,
) -> tuple[Neighbors, Neighbors, ExactReport]:
    """The k nearest targets of each source row, and the k nearest sources of each target row.

    Ties are broken by id. Progress counts pairs of rows.

    Args:
        known: what a search of the first rows of both sides found; the result is the same without.

    Raises:
        MismatchError: the sides differ in dimensions, or what is known is not of so many rows, or of another k.
    """
    if src.dims != tgt.dims:
        raise MismatchError(f"vectors of {src.dims} and of {tgt.dims} dimensions cannot be compared")
    if not len(src) or not len(tgt):
        return Neighbors.none(len(src), k), Neighbors.none(len(tgt), k), ExactReport(0.0, (0, 0), (0, 0), (0, 0))
    known.check(len(src), len(tgt), k)
    quantizer = Quantizer.fit(src, tgt)
    scorer = Scorer(src, tgt, options.threads)
    error = _error(scorer, quantizer)
    floors = Floors.of(known, quantizer, DEVIATIONS * error)
    ahead, back = _candidates(src, tgt, list_length(k), quantizer, options, progress, floors)
    ahead_of, back_of = (_candidates_of(best, quantizer, error) for best in (ahead, back))
    forward, again_forward = certain_neighbors(scorer, ahead_of, k, "rescore-forward", progress, known.forward)
    backward, again_backward = certain_neighbors(
        scorer.reversed(), back_of, k, "rescore-backward", progress, known.backward
    )
    wrong = wrong_rows(scorer, forward), wrong_rows(scorer.reversed(), backward)
    checked = min(CHECKED_ROWS, len(src)), min(CHECKED_ROWS, len(tgt))
    if any(wrong):
        _log.error("exact search differs from float32 search in %d and %d of %d and %d rows", *wrong, *checked)
    report = ExactReport(error, (again_forward, again_backward), checked, wrong)
    return forward, backward, report


def nearest_exact(
    queries: StoredVectors,
    base: StoredVectors,
    k: int,
    *,
    options: ExactOptions = ExactOptions(),
    progress: Progress = silent,
) -> Neighbors:
    """The k nearest rows of the base for each query: one direction of `search_exact`. Progress counts pairs of rows.

    Few queries are compared with all of the base in float32, which needs nothing prepared.

    Raises:
        MismatchError: the sides differ in dimensions.
    """
    if queries.dims != base.dims:
        raise MismatchError(f"vectors of {queries.dims} and of {base.dims} dimensions cannot be compared")
    if not len(queries) or not len(base):
        return Neighbors.none(len(queries), k)
    scorer = Scorer(queries, base, options.threads)
    if len(queries) <= _FEW_QUERIES:
        return search_rows(scorer, np.arange(len(queries)), k)
    quantizer = Quantizer.fit(queries, base)
    ahead, _ = _candidates(queries, base, list_length(k), quantizer, options, progress)
    candidates = _candidates_of(ahead, quantizer, _error(scorer, quantizer))
    found, _ = certain_neighbors(scorer, candidates, k, "rescore", progress)
    if wrong := wrong_rows(scorer, found):
        _log.error("exact search differs from float32 search in %d of %d rows", wrong, min(CHECKED_ROWS, len(queries)))
    return found


def _candidates(
    src: StoredVectors,
    tgt: StoredVectors,
    count: int,
    quantizer: Quantizer,
    options: ExactOptions,
    progress: Progress,
    floors: Floors = NO_FLOORS,
) -> tuple[Best, Best]:
    """The best `count` candidates both ways by 8-bit sums, among the pairs that are not known."""
    n, m = len(src), len(tgt)
    of_rows, of_columns = Best.empty(n, count, n), Best.empty(m, count, padded(m, TILE_COLUMNS) + options.columns)
    floors.columns_into(of_columns, 0)
    done, total = 0, n * m - floors.pairs
    for row, stop, first in floors.row_blocks(n, options.rows):
        if first == m:
            continue
        rows = row_block(quantizer, src, row, stop, options.threads)
        lists = [Best.empty(rows.rows, count, len(rows.codes)) for _ in range(options.threads)]
        for best in lists:
            floors.rows_into(best, row)
        for column in range(first, m, options.columns):
            columns = column_block(quantizer, tgt, column, min(column + options.columns, m), options.threads)
            chunks = _chunks(columns)
            work = partial(_scan_chunk, rows, columns, _slice(of_columns, column, columns), (row, column), options)
            for finished in share_out(chunks, lists, work):
                progress("search", done + rows.rows * columns.columns * finished // len(chunks), total)
            done += rows.rows * columns.columns
        found = merge(lists)
        of_rows.keys[row:stop] = found.keys
    return of_rows, of_columns


def _slice(best: Best, start: int, columns: ColumnBlock) -> Best:
    stop = start + columns.columns
    return Best(best.keys[start:stop], best.bounds[start : start + len(columns.starts)])


def _scan_chunk(
    rows: RowBlock,
    columns: ColumnBlock,
    of_columns: Best,
    offsets: tuple[int, int],
    options: ExactOptions,
    chunk: range,
    of_rows: Best,
) -> None:
    scan(rows, columns, chunk, of_rows, of_columns, offsets, portable=options.portable)


def _chunks(columns: ColumnBlock) -> list[range]:
    """The tiles of a block, as many at a time as stay in the cache."""
    tiles, size = len(columns.codes), max(_CHUNK_BYTES // columns.codes[0].nbytes, 1)
    return [range(at, min(at + size, tiles)) for at in range(0, tiles, size)]


def _candidates_of(best: Best, quantizer: Quantizer, error: float) -> Candidates:
    """Lists, with what the exact cosine of a row that they left out can be at most."""

    def candidates(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        ids = ids_of(best.keys[rows])
        most = sums_of(best.keys[rows, -1]) * quantizer.unit + quantizer.base + DEVIATIONS * error
        return ids, np.where(ids[:, -1] == MISSING, -np.inf, most)

    return candidates


def _error(scorer: Scorer, quantizer: Quantizer) -> float:
    """How much lower than the exact ones 8-bit cosines are, as a standard deviation, for the pairs of two runs of rows.

    Only those that are too low count: nothing is lost by one that is too high, and rows that reach beyond the range of
    bytes are so on purpose. Where few pairs make all of the error, it is as much as the largest of them asks for.
    """
    sides = []
    for seed, vectors in enumerate((scorer.queries, scorer.base)):
        start = int(np.random.default_rng(seed).integers(0, max(len(vectors) - _ERROR_ROWS, 0) + 1))
        codes, of_mean = quantizer.quantize(vectors.block(start, start + _ERROR_ROWS))
        sides.append((np.arange(start, start + len(codes)), codes.astype(np.float64), of_mean))
    (rows, left, of_rows), (columns, right, of_columns) = sides
    sums = left @ right.T + of_rows[:, None] + of_columns[None]
    exact = scorer.cosines(rows, np.tile(columns, (len(rows), 1)))
    too_low = exact - (sums * quantizer.unit + quantizer.base)
    too_low = too_low[too_low > 0]
    return float(max(np.sqrt(np.mean(too_low**2)), too_low.max() / DEVIATIONS)) if len(too_low) else 0.0
