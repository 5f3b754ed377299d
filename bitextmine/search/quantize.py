"""Vectors as 8-bit integers whose products order candidates as their cosines do.

The mean of both sides is taken off and put back as whole numbers beside the product, so that a space in which all
cosines are 0.8 (anisotropic encoders, constant dimensions) keeps its resolution:

    <x, y> = <x - m, y - m> + <x - m, m> + <m, y - m> + <m, m>

What is left is rotated at random, which spreads outlying dimensions over all, and rounded with one scale for
everything, so that sums of products need no further arithmetic to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitextmine.search.native import DEPTH, TILE_COLUMNS, TILE_ROWS
from bitextmine.vectors import Vectors

_SAMPLE_ROWS = 4096
_CLIPPED_SHARE = 1e-5  # of the coordinates; they cost accuracy, a wider range would cost more
_OFFSET = 128  # makes signed bytes unsigned, as one side of vpdpbusd must be
_PACKED_ROWS = 8192  # whole tiles
_ALIGNMENT = 64
_MAX_SUM = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Quantizer:
    """Rounds unit vectors to bytes. Deterministic: the sample is evenly spaced, the rotation seeded."""

    mean: NDArray[np.float32]  # (dims,)
    rotation: NDArray[np.float32]  # (dims, dims), orthogonal
    scale: float  # of a coordinate; sums of products are cosines times scale^2, less <mean, mean>

    @classmethod
    def fit(cls, src: Vectors, tgt: Vectors, seed: int = 1) -> Quantizer:
        samples = [_sample(side) for side in (src, tgt)]
        mean = np.asarray(np.mean([sample.mean(axis=0) for sample in samples], axis=0), np.float32)
        rotation = random_rotation(src.dims, seed)
        residual = np.concatenate(samples) - mean
        reach = float(np.quantile(np.abs(residual @ rotation), 1 - _CLIPPED_SHARE)) if len(residual) else 0.0
        longest = float(np.linalg.norm(residual, axis=1).max(initial=0.0))
        # sums stay within 30 bits: products up to 127^2 a dimension, and the mean's two parts
        room = np.sqrt((_MAX_SUM - 127.0**2 * src.dims) / (2 * max(longest, 1e-3)))
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
        """Unit rows (n, dims) as signed bytes (n, depth x 4), zero-padded, and the mean's part of each row's sums."""
        residual = block - self.mean
        rounded = np.rint(residual @ (self.rotation * np.float32(self.scale)))
        codes = np.zeros((len(block), padded(block.shape[1], DEPTH)), np.int8)
        codes[:, : block.shape[1]] = np.clip(rounded, -127, 127, out=rounded)
        starts = np.rint((residual @ self.mean).astype(np.float64) * self.scale**2)
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


def row_block(quantizer: Quantizer, vectors: Vectors, start: int, stop: int, step: int = 8192) -> RowBlock:
    """Rows start to stop of the left side, quantised `step` at a time."""
    count = stop - start
    codes = np.zeros((padded(count, TILE_ROWS), padded(vectors.dims, DEPTH)), np.int8)
    starts = np.zeros(len(codes), np.int32)
    for at in range(0, count, step):
        rows = slice(at, min(at + step, count))
        codes[rows], of_mean = quantizer.quantize(vectors.block(start + rows.start, start + rows.stop))
        starts[rows] = row_sums(codes[rows], of_mean)
    return RowBlock(codes, starts, count)


def column_block(quantizer: Quantizer, vectors: Vectors, start: int, stop: int, step: int = 8192) -> ColumnBlock:
    """Columns start to stop of the right side, quantised and packed `step` (whole tiles) at a time."""
    count = stop - start
    tiles = padded(count, TILE_COLUMNS) // TILE_COLUMNS
    packed = _aligned((tiles, padded(vectors.dims, DEPTH) // DEPTH, TILE_COLUMNS, DEPTH))
    starts = np.zeros(tiles * TILE_COLUMNS, np.int32)
    for at in range(0, count, step):
        stop_at = min(at + step, count)
        codes, starts[at:stop_at] = quantizer.quantize(vectors.block(start + at, start + stop_at))
        part = pack(codes)
        packed[at // TILE_COLUMNS : at // TILE_COLUMNS + len(part)] = part
    return ColumnBlock(packed, starts, count)


def random_rotation(dims: int, seed: int) -> NDArray[np.float32]:
    """An orthogonal matrix (dims, dims): cosine transform and random signs, twice. As good as any, and made at once."""
    rng = np.random.default_rng(seed)
    frequency, position = np.ogrid[:dims, :dims]
    cosines = np.sqrt(2 / dims) * np.cos(np.pi / dims * frequency * (position + 0.5))
    cosines[0] /= np.sqrt(2)
    signs = rng.choice([-1.0, 1.0], (2, dims))
    rotation: NDArray[np.float32] = ((signs[0, :, None] * cosines) @ (signs[1, :, None] * cosines)).astype(np.float32)
    return rotation


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
