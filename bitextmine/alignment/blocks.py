"""Blocks: one sentence or several in a row, as texts and as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import MismatchError
from bitextmine.vectors import unit_rows

Encode = Callable[[Sequence[str]], NDArray[np.floating]]  # sentences to vectors, (n, dims)


def block_texts(sentences: Sequence[str], most: int, joiner: str = " ") -> list[list[str]]:
    """Texts of all blocks: entry [size - 1][end] is the `size` sentences up to sentence `end`, which is one of them.

    Where there are not so many before it, the text is empty.
    """
    return [
        ["" if end + 1 < size else joiner.join(sentences[end + 1 - size : end + 1]) for end in range(len(sentences))]
        for size in range(1, most + 1)
    ]


def embed_blocks(sentences: Sequence[str], encode: Encode, most: int, joiner: str = " ") -> NDArray[np.float32]:
    """Vectors of all blocks of up to `most` sentences, (most, n, dims) of length 1, zeros where there is no block.

    Raises:
        MismatchError: the encoder gave another number of vectors, or some that are not finite.
    """
    texts = block_texts(sentences, most, joiner)
    wanted = sorted({text for row in texts for text in row if text})
    number = {text: row for row, text in enumerate(wanted, start=1)}
    vectors = np.asarray(encode(wanted), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(wanted) or not np.isfinite(vectors).all():
        raise MismatchError(f"{len(wanted):,} texts need as many finite vectors, not an array of {vectors.shape}")
    table = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), unit_rows(vectors)])
    rows = np.array([[number.get(text, 0) for text in row] for row in texts], np.int64).reshape(most, len(sentences))
    found: NDArray[np.float32] = table[rows]
    return found


def halve(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of neighbouring rows, the first with the second and so on, (ceil(n / 2), dims) of length 1."""
    even = vectors[: len(vectors) // 2 * 2].reshape(-1, 2, vectors.shape[1]).sum(axis=1)
    return unit_rows(np.concatenate([even, vectors[len(even) * 2 :]]))
