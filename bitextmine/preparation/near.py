"""Near duplicates: sentences that are the same but for case, punctuation and spaces, and perhaps digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from bitextmine.corpus.dedup import SeenSentences
from bitextmine.preparation.characters import Characters, Kind
from bitextmine.preparation.parameters import NearDuplicates

_ZERO = ord("0")


class NearSentences:
    """The sentences kept so far, as hashes of what is left of them when they are folded: about 48 bytes each."""

    def __init__(self, fold: NearDuplicates) -> None:
        self._fold = fold
        self._seen = SeenSentences()

    def add(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The sentence that each is a near duplicate of, by its number among those kept; -1 for those to keep, (n,)."""
        if self._fold is NearDuplicates.KEEP:
            return np.full(len(texts), -1, np.int64)
        known = self._seen.count
        rows = self._seen.add(folded_hashes(texts, self._fold))
        before = np.maximum.accumulate(np.concatenate(([known - 1], rows)))[:-1]
        return np.where(rows > before, -1, rows)


def folded_hashes(texts: Sequence[str], fold: NearDuplicates) -> NDArray[np.uint64]:
    """XXH3-128 of the letters (in lower case, with their marks) and digits of each sentence, (n, 2) uint64.

    With NearDuplicates.DIGITS all digits are the same. A sentence without letters and digits is taken as it is.
    """
    lowered = Characters([text.casefold() for text in texts])
    kept = (lowered.kinds == Kind.LETTER) | (lowered.kinds == Kind.DIGIT)
    codes = lowered.codes
    if fold is NearDuplicates.DIGITS:
        codes = np.where(lowered.kinds == Kind.DIGIT, np.uint32(_ZERO), codes)
    content = codes[kept].tobytes()
    stops = 4 * np.cumsum(lowered.count(kept))
    digests, start = [], 0
    for text, stop in zip(texts, stops.tolist(), strict=True):
        digests.append(xxhash.xxh3_128_digest(content[start:stop] if stop > start else text.encode()))
        start = stop
    return np.frombuffer(b"".join(digests), np.dtype("<u8")).reshape(-1, 2).astype(np.uint64, copy=False)
