"""Numbers and dates that stand on one side and not on the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

_NUMBER = re.compile(r"\d+(?:[.,’'\u066b\u066c\u00a0\u202f]\d+)*")
_TIME_OR_AGE = re.compile(r"\b\d{1,2}[:：]\d{2}\b|\b\d+['’]?s\b|\d+(?=\s*(?:世[纪紀]|年代|세기))")
_OFTEN_IN_WORDS = 12  # up to here the other side may have the number in words, and months by name
_NEVER_IN_WORDS = 3  # significant digits of a number that is missing if the other side has none at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Bounded):
    """Drops pairs whose numbers, years and dates disagree.

    The score is the share of numbers that both sides have, of all that either has (Jaccard); 1 where there are none.
    Numbers are compared by their digits without zeros at either end, in whatever script, so that 1,200,000, 1.2 million
    and 120万 agree, and dates do in any order. Many are written otherwise on the other side: those up to 12, times of
    the day, decades and centuries, and those of one or two digits beside zeros where it has no digits for any. Such
    count only if they agree.
    """

    name: ClassVar[str] = "numbers"
    least: float = 0.5

    def fitted(self, batches: Iterable[PairBatch]) -> Numbers:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.array([_agreement(src, tgt) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)], np.float64)

    def reason(self, score: float) -> str:
        return f"the numbers disagree: {score:.0%} of them are on both sides"


def _agreement(src: str, tgt: str) -> float:
    one, other = _numbers(src), _numbers(tgt)
    both = one.keys() & other.keys()
    missing = _missing(one, other) | _missing(other, one)
    return len(both) / len(both | missing) if both or missing else 1.0


def _missing(here: dict[str, bool], there: dict[str, bool]) -> set[str]:
    """What `there` should have of these numbers, and has not."""
    counted = {digits for digits in here.keys() - there.keys() if here[digits]}
    return counted if any(there.values()) else {digits for digits in counted if len(digits) >= _NEVER_IN_WORDS}


def _numbers(text: str) -> dict[str, bool]:
    """Digits of each number that say which it is, and whether they may be asked for on the other side."""
    found: dict[str, bool] = {}
    for match in _NUMBER.finditer(_TIME_OR_AGE.sub(" ", text)):
        digits = "".join(str(unicodedata.digit(character)) for character in match[0] if character.isdecimal())
        significant = digits.strip("0") or "0"
        found[significant] = found.get(significant, False) or int(digits) > _OFTEN_IN_WORDS
    return found
