"""Sentences that two corpora share, by the hashes that they keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.corpus import Corpus
from bitextmine.corpus.dedup import words_of

_HASHES_AT_ONCE = 1 << 23  # of both corpora: some 300 MB with what sorting takes
_PAIRS_AT_ONCE = 1 << 18


def count_identical(src: Corpus, tgt: Corpus) -> int:
    """How many sentences are in both corpora; goes through their hashes a part at a time, so memory is bounded."""
    parts = -(-(len(src) + len(tgt)) // _HASHES_AT_ONCE)
    return sum(_count_shared(_hashes_of(src, part, parts), _hashes_of(tgt, part, parts)) for part in range(parts))


def identical_pairs(
    src: Corpus, tgt: Corpus, src_rows: NDArray[np.int64], tgt_rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each pair of rows is one sentence on both sides: (m,) bool."""
    same = np.zeros(len(src_rows), bool)
    for start in range(0, len(src_rows), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        ours, theirs = (words_of(side.take("hash", rows[part])) for side, rows in ((src, src_rows), (tgt, tgt_rows)))
        same[part] = (ours == theirs).all(axis=1)
    return same


def _hashes_of(corpus: Corpus, part: int, parts: int) -> NDArray[np.uint64]:
    """The (n, 2) hashes that fall into one part of their space."""
    found = []
    for shard in corpus.shards:
        hashes = words_of(corpus.shard_column("hash", shard))
        found.append(hashes if parts == 1 else hashes[hashes[:, 1] % np.uint64(parts) == part])
    return np.concatenate(found) if found else np.empty((0, 2), np.uint64)


def _count_shared(ours: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> int:
    """By the low word, which sorts fast; of those that share it, by the high word too.

    Two sentences of one corpus that share a low word (one chance in 1e5 for ten million) may hide one another.
    """
    _, left, right = np.intersect1d(ours[:, 0], theirs[:, 0], return_indices=True)
    return int((ours[left, 1] == theirs[right, 1]).sum())
