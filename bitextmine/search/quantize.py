"""Vectors as 8-bit integers whose products order candidates as their cosines do.

The mean of both sides is taken off and put back as whole numbers beside the product, so that a space in which all
cosines are 0.8 (anisotropic encoders, constant dimensions) keeps its resolution:

    <x, y> = <x - m, y - m> + <x - m, m> + <m, y - m> + <m, m>

What is left is rotated at random, which spreads outlying dimensions over all, and rounded with one scale for
everything, so that sums of products need no further arithmetic to be compared.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS
from bitextmine.search.rotation import Rotation
from bitextmine.vectors import Vectors

_SAMPLE_ROWS = 4096
_STEP = 512  # rows that are quantised at a time; whole tiles
_CLIPPED_SHARE = 1e-5  # of the coordinates; they cost accuracy, a wider range would cost more
_OFFSET = 128  # makes signed bytes unsigned, as one side of vpdpbusd must be
_PACKED_ROWS = 8192  # whole tiles
_ALIGNMENT = 64
_MAX_SUM = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Quantizer:
    """Rounds unit vectors to bytes. Deterministic: the sample is evenly spaced, the rotation seeded."""

    mean: NDArray[np.float32]  # (dims,)
    rotation: Rotation
    scale: float  # of a coordinate; sums of products are cosines times scale^2, less <mean, mean>

    @classmethod
    def fit(cls, src: Vectors, tgt: Vectors, seed: int = 1) -> Quantizer:
        samples = [_sample(side) for side in (src, tgt)]
        mean = np.asarray(np.mean([sample.mean(axis=0) for sample in samples], axis=0), np.float32)
        rotation = Rotation.random(src.dims, seed)
        residual = np.concatenate(samples) - mean
        reach = float(np.quantile(np.abs(rotation.apply(residual)), 1 - _CLIPPED_SHARE)) if len(residual) else 0.0
        longest = float(np.linalg.norm(residual, axis=1).max(initial=0.0))
        # sums stay within 30 bits: products up to 127^2 a dimension, the mean's two parts, and what is cut off
        longest = max(longest, 1e-3)
        room = np.sqrt((_MAX_SUM * 0.75 - 127.0**2 * src.dims) / (2 * longest + longest**2))
        return cls(mean, rotation, min(127.0 / max(reach, 1e-6), float(room)))

    @property
    def unit(self) -> float:
        """The cosine that a sum of 1 stands for."""
        return 1.0 / self.scale**2

    @property
    def base(self) -> float:
        """The cosine that a sum of 0 stands for."""
        return float(self.mean.astype(np.float64) @ self.mean.astype(np.float64))

    def quantize(self, block: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
        """Unit rows (n, dims) as signed bytes (n, depth x 4), zero-padded, and the mean's part of each row's sums.

        The sums of a row with coordinates beyond the bytes' range are made as high as they may be, so that it is too
        high on a list rather than missing.
        """
        residual = block - self.mean
        codes = np.zeros((len(block), padded(block.shape[1], DEPTH)), np.int8)
        clipped = np.empty(len(block), np.float64)
        _round(self.rotation.apply(residual), np.float32(self.scale), codes, clipped)
        starts = np.rint((residual @ self.mean).astype(np.float64) * self.scale**2) + np.ceil(clipped)
        return codes, np.clip(starts, -_MAX_SUM, _MAX_SUM).astype(np.int32)


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows of the left side: signed bytes, padded to whole tiles, and what their sums begin with.

    The other side's bytes are 128 too large, so the sums begin with -128 times the row's sum.
    """

    codes: NDArray[np.int8]  # (padded rows, depth x 4)
    starts: NDArray[np.int32]  # (padded rows,)
    rows: int

    @classmethod
    def of(cls, codes: NDArray[np.int8], of_mean: NDArray[np.int32]) -> RowBlock:
        """Codes (n, depth x 4) and the mean's part of their sums (n,)."""
        padding = padded(len(codes), TILE_ROWS) - len(codes)
        starts = row_sums(codes, of_mean)
        return cls(np.pad(codes, ((0, padding), (0, 0))), np.pad(starts, (0, padding)), len(codes))


@dataclass(frozen=True, slots=True)
class ColumnBlock:
    """Columns of the right side: unsigned bytes packed by tile, depth, column and four of depth; 64-byte aligned."""

    codes: NDArray[np.uint8]  # (tiles, depth, 32, 4)
    starts: NDArray[np.int32]  # (padded columns,)
    columns: int


def row_block(quantizer: Quantizer, vectors: Vectors, start: int, stop: int, threads: int = 1) -> RowBlock:
    """Rows start to stop of the left side, quantised."""
    count = stop - start
    codes = np.zeros((padded(count, TILE_ROWS), padded(vectors.dims, DEPTH)), np.int8)
    starts = np.zeros(len(codes), np.int32)

    def quantize(at: int) -> None:
        rows = slice(at, min(at + _STEP, count))
        codes[rows], of_mean = quantizer.quantize(vectors.block(start + rows.start, start + rows.stop))
        starts[rows] = row_sums(codes[rows], of_mean)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(quantize, range(0, count, _STEP)))
    return RowBlock(codes, starts, count)


def column_block(quantizer: Quantizer, vectors: Vectors, start: int, stop: int, threads: int = 1) -> ColumnBlock:
    """Columns start to stop of the right side, quantised and packed."""
    count = stop - start
    tiles = padded(count, TILE_COLUMNS) // TILE_COLUMNS
    packed = _aligned((tiles, padded(vectors.dims, DEPTH) // DEPTH, TILE_COLUMNS, DEPTH))
    starts = np.zeros(tiles * TILE_COLUMNS, np.int32)

    def quantize(at: int) -> None:
        stop_at = min(at + _STEP, count)
        codes, starts[at:stop_at] = quantizer.quantize(vectors.block(start + at, start + stop_at))
        part = pack(codes)
        packed[at // TILE_COLUMNS : at // TILE_COLUMNS + len(part)] = part

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(quantize, range(0, count, _STEP)))
    return ColumnBlock(packed, starts, count)


def row_sums(codes: NDArray[np.int8], of_mean: NDArray[np.int32]) -> NDArray[np.int32]:
    """What the sums of rows begin with, since the other side's bytes are 128 too large."""
    return np.asarray(of_mean - _OFFSET * codes.sum(axis=1, dtype=np.int32), np.int32)


def pack(codes: NDArray[np.int8], ids: NDArray[np.int32] | None = None) -> NDArray[np.uint8]:
    """Rows of codes as packed columns (tiles, depth, 32, 4), in their order or that of `ids` (-1 is padding)."""
    count = len(codes) if ids is None else len(ids)
    depth = codes.shape[1] // DEPTH
    packed = _aligned((padded(count, TILE_COLUMNS) // TILE_COLUMNS, depth, TILE_COLUMNS, DEPTH))
    for at in range(0, count, _PACKED_ROWS):
        part = codes[at : at + _PACKED_ROWS] if ids is None else codes[ids[at : at + _PACKED_ROWS]]
        shifted = np.full((padded(len(part), TILE_COLUMNS), codes.shape[1]), _OFFSET, np.uint8)
        shifted[: len(part)] = part.view(np.uint8) ^ np.uint8(_OFFSET)  # two's complement plus 128
        tiles = shifted.reshape(-1, TILE_COLUMNS, depth, DEPTH).transpose(0, 2, 1, 3)
        packed[at // TILE_COLUMNS : at // TILE_COLUMNS + len(tiles)] = tiles
    return packed


def padded(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _sample(vectors: Vectors) -> NDArray[np.float32]:
    """Up to 4,096 rows in 16 runs, evenly spaced."""
    n = len(vectors)
    if n <= _SAMPLE_ROWS:
        return vectors.block(0, n)
    run = _SAMPLE_ROWS // 16
    return np.concatenate(
        [vectors.block(start, start + run) for start in np.linspace(0, n - run, 16, dtype=int).tolist()]
    )


def _aligned(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    size = int(np.prod(shape))
    buffer = np.empty(size + _ALIGNMENT, np.uint8)
    offset = -buffer.ctypes.data % _ALIGNMENT
    return buffer[offset : offset + size].reshape(shape)


@numba.njit(cache=True, nogil=True)
def _round(rotated, scale, codes, clipped):  # type: ignore[no-untyped-def]
    """Also gives the most by which a row's sums may be too low for the coordinates that are cut off.

    With x = c + e, of which c is kept, <x, y> - <c, c'> is <e, c'> + <c, e'> + <e, e'>, and so at most
    127 |e|_1 + |e|^2 / 2 and the same of the other side.
    """
    n, dims = rotated.shape
    most = np.float32(127)
    for row in range(n):
        lost = 0.0
        for j in range(dims):
            value = rotated[row, j] * scale
            codes[row, j] = np.int8(min(max(np.rint(value), -most), most))
            excess = abs(value) - most
            if excess > 0.5:
                lost += 127.0 * excess + excess * excess / 2
        clipped[row] = lost
