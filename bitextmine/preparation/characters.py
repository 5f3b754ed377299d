"""Sentences as arrays of code points, so that characters of every script are counted without a loop over them."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.scripts import letter_script

_COUNT = sys.maxunicode + 1
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # odd, with its bits well mixed: 2**64 over the golden ratio
_ASSIGNED = (*range(0x33480), *range(0xE0000, 0xE0200))  # the planes that hold characters (Unicode 15 and 16)


class Kind(IntEnum):
    """What a character is. Marks (vowel signs of Thai, Hindi, Arabic, joiners) belong to letters and count as such."""

    OTHER = 0  # punctuation, symbols, and what has no meaning of its own
    SPACE = 1
    LETTER = 2
    DIGIT = 3


class Characters:
    """The characters of some sentences."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.codes: NDArray[np.uint32] = np.frombuffer("".join(texts).encode("utf-32-le"), np.dtype("<u4"))
        self.lengths: NDArray[np.int64] = np.fromiter(map(len, texts), np.int64, len(texts))  # (n,) code points
        self.stops = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.texts)

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of each sentence's characters are marked, (n,), of marks for all characters."""
        upto = np.concatenate(([0], np.cumsum(which)))
        counted: NDArray[np.int64] = upto[self.stops] - upto[self.stops - self.lengths]
        return counted

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """The Kind of each character."""
        return _kinds()[self.codes]

    @cached_property
    def visible(self) -> NDArray[np.int64]:
        """Characters of each sentence that are no spaces, at least 1, (n,)."""
        return np.maximum(self.count(self.kinds != Kind.SPACE), 1)

    def share(self, kind: Kind) -> NDArray[np.float64]:
        """Of a kind among the characters that are no spaces, (n,), 0 to 1."""
        return self.count(self.kinds == kind) / self.visible

    def longest_runs(self) -> NDArray[np.int64]:
        """The longest run of one character that is no space, (n,)."""
        codes = self.codes
        if not len(codes):
            return np.zeros(len(self), np.int64)
        begins = np.ones(len(codes), np.bool_)
        begins[1:] = codes[1:] != codes[:-1]
        begins[(self.stops - self.lengths)[self.lengths > 0]] = True
        starts = np.flatnonzero(begins)
        runs = np.diff(np.append(starts, len(codes))) * (self.kinds[starts] != Kind.SPACE)
        owners = np.searchsorted(self.stops, starts, side="right")
        longest = np.zeros(len(self), np.int64)
        np.maximum.at(longest, owners, runs)
        return longest

    def repeated_share(self, width: int) -> NDArray[np.float64]:
        """Of the passages of so many characters in each sentence, the share that stands before already, (n,), 0 to 1.

        0 for sentences shorter than two passages. Passages are told by 40 bits, among those of one sentence.
        """
        passages = np.maximum(self.lengths - width + 1, 0)
        passages[passages <= width] = 0
        begins = np.zeros(len(self.codes) + 1, np.int64)  # 1 where a row of passages begins, -1 where it ends
        starts = (self.stops - self.lengths)[passages > 0]
        np.add.at(begins, starts, 1)
        np.add.at(begins, starts + passages[passages > 0], -1)
        places = np.flatnonzero(np.cumsum(begins[:-1]))
        hashed = np.zeros(len(places), np.uint64)
        for offset in range(width):
            hashed = (hashed ^ self.codes[places + offset]) * _PRIME
            hashed ^= hashed >> np.uint64(29)
        owners = np.repeat(np.arange(len(self), dtype=np.uint64), passages)
        told = np.sort((owners << np.uint64(40)) | (hashed >> np.uint64(24)))
        first = np.ones(len(told), np.bool_)
        first[1:] = told[1:] != told[:-1]
        distinct = np.bincount((told[first] >> np.uint64(40)).astype(np.int64), minlength=len(self))
        return np.where(passages > 0, 1 - distinct / np.maximum(passages, 1), 0.0)

    def foreign_share(self, scripts: frozenset[str]) -> NDArray[np.float64]:
        """The share of letters that belong to another script than these (ISO 15924 codes), (n,), 0 to 1.

        Letters that belong to no script in particular count as neither.
        """
        names, table = _scripts()
        own = np.array([name in scripts for name in names])
        numbers = table[self.codes]
        foreign = self.count((numbers > 0) & ~own[numbers])
        total = self.count(numbers > 0)
        return foreign / np.maximum(total, 1)


@cache
def _kinds() -> NDArray[np.uint8]:
    table = np.zeros(_COUNT, np.uint8)
    for code in _ASSIGNED:
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] in "LM" or code in (0x200C, 0x200D):
            table[code] = Kind.LETTER
        elif category[0] == "N":
            table[code] = Kind.DIGIT
        elif category[0] == "Z" or character.isspace():
            table[code] = Kind.SPACE
    return table


@cache
def _scripts() -> tuple[list[str], NDArray[np.uint8]]:
    """Names of scripts, and the number of each character's script among them; 0 for what has none."""
    numbers = {"": 0}
    table = np.zeros(_COUNT, np.uint8)
    for code in np.flatnonzero(_kinds() == Kind.LETTER).tolist():
        table[code] = numbers.setdefault(letter_script(chr(code)), len(numbers))
    return list(numbers), table
