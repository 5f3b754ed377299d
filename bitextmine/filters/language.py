"""The language that each side looks like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.identify import chances, known_languages
from bitextmine.filters.pair_filter import Bounded, PairBatch

_LEAST_LETTERS = 10  # of fewer the identifier cannot tell
_SURE = 0.5  # of another language
_POSSIBLE = 0.05  # of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Bounded):
    """Drops pairs of which a side looks like another language than its own.

    The score counts such sides, 0 to 2. A side looks so where the identifier gives another language a chance of 0.5 or
    more and its own less than 0.05. Where it does not know the language, or there are fewer than ten letters, the side
    passes.
    """

    name: ClassVar[str] = "language"
    most: float = 0.0

    def fitted(self, batches: Iterable[PairBatch]) -> Language:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return _wrong(pairs.src, pairs.src_lang) + _wrong(pairs.tgt, pairs.tgt_lang)

    def reason(self, score: float) -> str:
        return "both sides look like another language" if score > 1 else "a side looks like another language"


def _wrong(texts: Sequence[str], lang: str) -> NDArray[np.float64]:
    wanted = lang.partition("_")[0]
    wrong = np.zeros(len(texts), np.float64)
    if wanted not in known_languages():
        return wrong
    asked = [row for row, text in enumerate(texts) if sum(map(str.isalpha, text)) >= _LEAST_LETTERS]
    for row, (own, other) in zip(asked, chances([texts[row] for row in asked], wanted), strict=True):
        wrong[row] = other >= _SURE and own < _POSSIBLE
    return wrong
