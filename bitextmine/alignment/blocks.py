"""Blocks: one sentence or several in a row, as texts and as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class BlockTable:
    """The vectors of all blocks of some documents, each text once."""

    vectors: NDArray[np.float32]  # (texts + 1, dims) of length 1; the first is zero, and stands where there is no block
    rows: list[NDArray[np.int64]]  # of each document: (most, n)

    def blocks(self, document: int) -> NDArray[np.float32]:
        """The vectors of a document's blocks, (most, n, dims), zeros where there is no block."""
        found: NDArray[np.float32] = self.vectors[self.rows[document]]
        return found


def embed_documents(documents: Sequence[tuple[Sequence[str], str]], encode: Encode, most: int) -> BlockTable:
    """The vectors of all blocks of up to `most` sentences of each document, with one call of the encoder.

    Args:
        documents: the sentences of each, and what stands between two of them.

    Raises:
        MismatchError: the encoder gave another number of vectors, or some that are not finite.
    """
    number: dict[str, int] = {"": 0}
    rows = []
    for sentences, joiner in documents:
        texts = block_texts(sentences, most, joiner)
        numbers = [[number.setdefault(text, len(number)) for text in row] for row in texts]
        rows.append(np.array(numbers, np.int64).reshape(most, len(sentences)))
    wanted = list(number)[1:]
    vectors = np.asarray(encode(wanted), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(wanted) or not np.isfinite(vectors).all():
        raise MismatchError(f"{len(wanted):,} texts need as many finite vectors, not an array of {vectors.shape}")
    return BlockTable(np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), unit_rows(vectors)]), rows)


def embed_blocks(sentences: Sequence[str], encode: Encode, most: int, joiner: str = " ") -> NDArray[np.float32]:
    """Vectors of all blocks of up to `most` sentences, (most, n, dims) of length 1, zeros where there is no block.

    Raises:
        MismatchError: the encoder gave another number of vectors, or some that are not finite.
    """
    return embed_documents([(sentences, joiner)], encode, most).blocks(0)


def halve(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of neighbouring rows, the first with the second and so on, (ceil(n / 2), dims) of length 1."""
    even = vectors[: len(vectors) // 2 * 2].reshape(-1, 2, vectors.shape[1]).sum(axis=1)
    return unit_rows(np.concatenate([even, vectors[len(even) * 2 :]]))
