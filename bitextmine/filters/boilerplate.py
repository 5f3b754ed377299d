"""Templates: text that comes again and again with another number or name in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each of some hashes came: both (m,), the hashes rising."""

    hashes: NDArray[np.uint64]
    times: NDArray[np.int64]

    def of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """How often each came, 1 for one that is not among them."""
        if not len(self.hashes):
            return np.ones(len(hashes), np.int64)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[places] == hashes, self.times[places], 1)


_NOTHING = _Counts(np.empty(0, np.uint64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Boilerplate(Bounded):
    """Drops pairs of a sentence that stands, but for its digits, in very many pairs of the bitext.

    The score is how many pairs have the source's template, or the target's if that is more. Fitting takes some 32
    bytes of memory a pair.
    """

    name: ClassVar[str] = "boilerplate"
    most: float = 50.0
    src: _Counts = field(default=_NOTHING, repr=False, compare=False)
    tgt: _Counts = field(default=_NOTHING, repr=False, compare=False)

    def fitted(self, batches: Iterable[PairBatch]) -> Boilerplate:
        src, tgt = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for pairs in batches:
            src.append(_templates(pairs.src))
            tgt.append(_templates(pairs.tgt))
        return replace(self, src=_repeated(np.concatenate(src)), tgt=_repeated(np.concatenate(tgt)))

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        found = np.maximum(self.src.of(_templates(pairs.src)), self.tgt.of(_templates(pairs.tgt)))
        return found.astype(np.float64)

    def reason(self, score: float) -> str:
        return f"the sentence is in {score:,.0f} pairs, but for its digits"


def _templates(texts: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each text in small letters, with 0 for each number."""
    hashes = (xxhash.xxh3_64_intdigest(_DIGITS.sub("0", text.casefold()).encode()) for text in texts)
    return np.fromiter(hashes, np.uint64, len(texts))


def _repeated(hashes: NDArray[np.uint64]) -> _Counts:
    found, times = np.unique(hashes, return_counts=True)
    return _Counts(found[times > 1], times[times > 1].astype(np.int64))
