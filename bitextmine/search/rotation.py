"""A rotation that spreads every coordinate over all others, at a small part of a matrix product's cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rotation:
    """Random signs, then one orthogonal matrix along each side of the coordinates laid out as a x b.

    The Kronecker product of two orthogonal matrices is orthogonal, every coordinate reaches every other, and it takes
    a + b products a coordinate instead of a b (as the Hadamard transform, its case of many factors of 2).
    """

    signs: NDArray[np.float32]  # (dims,)
    along_rows: NDArray[np.float32]  # (a, a), orthogonal
    along_columns: NDArray[np.float32]  # (b, b), orthogonal

    @classmethod
    def random(cls, dims: int, seed: int) -> Rotation:
        rng = np.random.default_rng(seed)
        a = next(side for side in range(max(int(dims**0.5), 1), 0, -1) if dims % side == 0)
        b = dims // a
        return cls(_signs(rng, dims), _orthogonal(rng, a), _orthogonal(rng, b))

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (n, dims), rotated; C-contiguous float32. A row's result does not depend on the others."""
        laid_out = (rows * self.signs).reshape(len(rows), len(self.along_rows), len(self.along_columns))
        rotated: NDArray[np.float32] = np.matmul(self.along_rows.T, laid_out @ self.along_columns)
        return rotated.reshape(rows.shape)


def _signs(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return rng.choice(np.array([-1.0, 1.0], np.float32), count)


def _orthogonal(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """The cosine transform with random signs: as good here as any, and made at once."""
    frequency, position = np.ogrid[:size, :size]
    cosines = np.sqrt(2 / size) * np.cos(np.pi / size * frequency * (position + 0.5))
    cosines[0] /= np.sqrt(2)
    return np.ascontiguousarray(_signs(rng, size)[:, None] * cosines, np.float32)
