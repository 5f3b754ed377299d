"""Templates: text that comes again and again with another number or name in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boilerplate(Bounded):
    """Drops pairs of a sentence that stands, but for its digits, in very many pairs of the bitext.

    The score is how many pairs have the source's template, or the target's if that is more.
    """

    name: ClassVar[str] = "boilerplate"
    most: float = 50.0
    counts: Counter[int] = field(default_factory=Counter, repr=False)

    def fitted(self, batches: Iterable[PairBatch]) -> Boilerplate:
        counts: Counter[int] = Counter()
        for pairs in batches:
            counts.update(_template(text, 0) for text in pairs.src)
            counts.update(_template(text, 1) for text in pairs.tgt)
        kept = Counter({template: count for template, count in counts.items() if count > 1})
        return replace(self, counts=kept)

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        both = zip(pairs.src, pairs.tgt, strict=True)
        found = [max(self.counts[_template(src, 0)], self.counts[_template(tgt, 1)], 1) for src, tgt in both]
        return np.array(found, np.float64)

    def reason(self, score: float) -> str:
        return f"the sentence is in {score:,.0f} pairs, but for its digits"


def _template(text: str, side: int) -> int:
    return xxhash.xxh3_64_intdigest(_DIGITS.sub("0", text.casefold()).encode(), seed=side)
