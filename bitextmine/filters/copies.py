"""Sides that are the same text, or share too much of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.filters.pair_filter import Bounded, PairBatch

_LEAST_WORDS = 4  # of fewer a name in common is half of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Bounded):
    """Drops pairs whose sides are the same, or nearly: text of one language in the other corpus.

    The score is Dice's coefficient of their pairs of neighbouring letters and digits, without regard to case, spaces,
    punctuation and compatibility forms: 0 with none in common, 1 for copies.
    """

    name: ClassVar[str] = "copy"
    most: float = 0.95

    def fitted(self, batches: Iterable[PairBatch]) -> Copy:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.array([_dice(src, tgt) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)], np.float64)

    def reason(self, score: float) -> str:
        return "both sides are the same" if score == 1 else f"both sides are nearly the same: {score:.0%} in common"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Bounded):
    """Drops pairs of which most words stand on both sides: lists of names, titles, code.

    The score is the share of the shorter side's distinct words (letters only, whatever their case) that are also on the
    other; 0 where it has fewer than four. Scripts without spaces have few words, and share none with others.
    """

    name: ClassVar[str] = "overlap"
    most: float = 0.9

    def fitted(self, batches: Iterable[PairBatch]) -> Overlap:
        return self

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        return np.array([_shared(src, tgt) for src, tgt in zip(pairs.src, pairs.tgt, strict=True)], np.float64)

    def reason(self, score: float) -> str:
        return f"{score:.0%} of the shorter side's words are on the other side too"


def _dice(src: str, tgt: str) -> float:
    one, other = _plain(src), _plain(tgt)
    if one == other:
        return 1.0
    first, second = _bigrams(one), _bigrams(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        character for character in folded if character.isalnum() or unicodedata.category(character)[0] == "M"
    )


def _bigrams(text: str) -> Counter[str]:
    return Counter(text[place : place + 2] for place in range(len(text) - 1))


def _shared(src: str, tgt: str) -> float:
    one, other = _words(src), _words(tgt)
    fewest = min(len(one), len(other))
    return len(one & other) / fewest if fewest >= _LEAST_WORDS else 0.0


def _words(text: str) -> set[str]:
    words = (word.strip("\"'.,;:!?()[]«»„“”‚‘’…-–—") for word in text.casefold().split())
    return {word for word in words if any(map(str.isalpha, word))}
