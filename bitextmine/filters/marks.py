"""Addresses of the web, and text that is mostly something else than letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

# An e-mail address is looked for where its first character stands alone: at each of many letters would take too long.
_ADDRESS = re.compile(r"(?:https?:// ?|www\.)[^\s<>\"'，。、）]+|(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.-]+", re.IGNORECASE)
_END = ".,;:!?)]}"
# What differs between addresses that mean the same: the scheme, www., and a host's language, as in de.wikipedia.org.
_BEGINNING = re.compile(r"^(?:https?:// ?)?(?:www\.)?(?:[a-z]{2,3}\.(?=[\w-]+\.[a-z]))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses(Bounded):
    """Drops pairs whose URLs and e-mail addresses are not the same, or are all that there is.

    The score is the share of addresses that both sides have, of all that either has; 1 where there are none, 0 where a
    side holds nothing else. https, www., a language before the host and a slash at the end make no difference.
    """

    name: ClassVar[str] = "addresses"
    least: float = 0.5

    def fitted(self, batches: Iterable[PairBatch]) -> Addresses:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.array([_same_addresses(src, tgt) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)], np.float64)

    def reason(self, score: float) -> str:
        return "a side is an address only, or none is on both sides" if score == 0 else "the web addresses disagree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Punctuation(Bounded):
    """Drops pairs of which a side is mostly punctuation, symbols and digits: tables, formulas, lines of dots.

    The score is the larger share, of both sides, of characters that are neither letters nor the marks that belong to
    them, spaces left out. Vowel signs of Thai, Hindi or Arabic are marks, and Chinese characters letters.
    """

    name: ClassVar[str] = "punctuation"
    most: float = 0.5

    def fitted(self, batches: Iterable[PairBatch]) -> Punctuation:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        shares = [max(_other_share(src), _other_share(tgt)) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)]
        return np.array(shares, np.float64)

    def reason(self, score: float) -> str:
        return f"{score:.0%} of a side are punctuation, symbols and digits"


def _same_addresses(src: str, tgt: str) -> float:
    one, other = _addresses(src), _addresses(tgt)
    if not one and not other:
        return 1.0
    if not (_rest(src) and _rest(tgt)):
        return 0.0
    return len(one & other) / len(one | other)


def _addresses(text: str) -> set[str]:
    """Without what says nothing, and without a slash at their end."""
    return {_BEGINNING.sub("", match).rstrip(_END + "/").casefold() for match in _ADDRESS.findall(text)}


def _rest(text: str) -> bool:
    """Whether there are letters beside the addresses."""
    return any(map(str.isalpha, _ADDRESS.sub("", text)))


def _other_share(text: str) -> float:
    counted = [_is_letter(character) for character in text if not character.isspace()]
    return 1 - sum(counted) / len(counted) if counted else 1.0


@lru_cache(maxsize=1 << 16)
def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"
