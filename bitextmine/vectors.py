"""Vectors of sentences as the search reads them: float16 on disk or in memory, a block or a row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError


class Vectors(Protocol):
    """Rows of vectors that can be read a block at a time."""

    @property
    def dims(self) -> int: ...

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start to stop as C-contiguous float32 (stop - start, dims), each of unit length (or zero)."""


class StoredVectors:
    """Rows as float16 in shards of equal length (the last may be shorter): arrays, or .npy files mapped when read."""

    def __init__(self, shards: Sequence[NDArray[np.float16] | Path], rows: int, dims: int, shard_rows: int) -> None:
        self._shards, self._rows = list(shards), rows
        self.dims, self.shard_rows = dims, shard_rows

    @classmethod
    def of(cls, array: NDArray[np.floating]) -> StoredVectors:
        """An array in memory, (n, dims), rounded to float16 unless it is.

        Raises:
            MismatchError: it is not two-dimensional, not of floating point, or not finite in float16.
        """
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
            raise MismatchError(f"vectors are (rows, dims) of floating point, not {array.shape} of {array.dtype}")
        with np.errstate(over="ignore"):
            halves = np.ascontiguousarray(array, np.float16)
        if not np.isfinite(halves).all():
            raise MismatchError("vectors hold values that are not finite, or too large for float16")
        return cls([halves], len(halves), halves.shape[1], max(len(halves), 1))

    def __len__(self) -> int:
        return self._rows

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """See `Vectors.block`; float16's rounding of the length is undone, so products of rows are cosines."""
        return unit_rows(self.halves(start, stop))

    def halves(self, start: int, stop: int) -> NDArray[np.float16]:
        """Rows start to stop as they are stored, (stop - start, dims)."""
        parts = [self.shard(number)[low:high] for number, low, high in self._pieces(start, min(stop, self._rows))]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty((0, self.dims), np.float16), *parts])

    @property
    def shard_count(self) -> int:
        return len(self._shards)

    def shard(self, number: int) -> NDArray[np.float16]:
        """One shard, (rows, dims) float16, C-contiguous; mapped, not read, if it is a file.

        Raises:
            MismatchError: the file does not hold what the shard should.
        """
        shard = self._shards[number]
        array = np.load(shard, mmap_mode="r", allow_pickle=False) if isinstance(shard, Path) else shard
        expected = (min(self.shard_rows, self._rows - number * self.shard_rows), self.dims)
        if array.shape != expected or array.dtype != np.float16 or not array.flags.c_contiguous:
            raise MismatchError(f"shard {number} is {array.shape} of {array.dtype}, not {expected} of float16")
        return array

    def _pieces(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        size = self.shard_rows
        return [
            (number, max(start - number * size, 0), min(stop - number * size, size))
            for number in range(start // size, -(-stop // size))
        ]


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to unit length, (n, dims) C-contiguous float32; zero rows stay zero."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return np.asarray(rows / np.where(lengths > 0, lengths, np.float32(1))[:, None], np.float32)
