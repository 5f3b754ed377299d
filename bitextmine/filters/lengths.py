"""Lengths of both sides against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

_FEWEST = 20  # pairs to fit on; with fewer the defaults stay
_SIGMAS_OF_A_MAD = 1.4826
_LEAST_SPREAD = 1.0
_MOST_SAMPLED = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthRatio(Bounded):
    """Drops pairs of which one side is much longer than its translation would be.

    The score is Gale & Church's (1993, "A Program for Aligning Sentences in Bilingual Corpora", section 2.1):
    delta = (l_tgt - c l_src) / sqrt(s2 l), l the mean of l_src and l_tgt / c, lengths in characters. Characters of
    target to one of source, c, and the variance of a character, s2, are fitted to the bitext by medians, so that wrong
    pairs among the right ones do no harm, and neither does a script that says more in a character.
    """

    name: ClassVar[str] = "length-ratio"
    least: float = -4.0
    most: float = 4.0
    ratio: float = 1.0  # c
    variance: float = 6.8  # s2, as in the paper

    @property
    def learnt(self) -> Mapping[str, float]:
        return {"ratio": self.ratio, "variance": self.variance}

    def fitted(self, batches: Iterable[PairBatch]) -> LengthRatio:
        sides: list[list[NDArray[np.float64]]] = [[], []]
        for pairs in batches:
            for lengths, texts in zip(sides, (pairs.src, pairs.tgt), strict=True):
                lengths.append(_lengths(texts))
            if sum(map(len, sides[0])) >= _MOST_SAMPLED:
                break
        src, tgt = (np.concatenate([np.empty(0), *lengths]) for lengths in sides)
        if len(src) < _FEWEST:
            return self
        ratio = float(np.median(tgt / src))
        off = (tgt - ratio * src) / np.sqrt((src + tgt / ratio) / 2)
        spread = _SIGMAS_OF_A_MAD * float(np.median(np.abs(off)))
        return replace(self, ratio=ratio, variance=max(spread, _LEAST_SPREAD * ratio) ** 2)

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        src, tgt = _lengths(pairs.src), _lengths(pairs.tgt)
        scores: NDArray[np.float64] = (tgt - self.ratio * src) / np.sqrt(self.variance * (src + tgt / self.ratio) / 2)
        return scores

    def reason(self, score: float) -> str:
        longer = "longer" if score > 0 else "shorter"
        return f"the target is {abs(score):.1f} standard deviations {longer} than its source's length lets expect"


def _lengths(texts: Iterable[str]) -> NDArray[np.float64]:
    return np.array([max(len(text), 1) for text in texts], np.float64)
