"""Text that repeats itself: menus, keyboards that got stuck, boilerplate joined to one line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.preparation.characters import Characters
from bitextmine.preparation.rule import Bounded

PASSAGE = 8  # characters: about a word and a half in Latin script, a clause in Chinese


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedCharacters(Bounded):
    """The longest run of one character, spaces aside."""

    name: ClassVar[str] = "repeated-characters"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.longest_runs().astype(np.float64)

    def reason(self, score: float) -> str:
        return f"a character {score:.0f} times in a row, more than {self.most:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedWords(Bounded):
    """The longest run of one word, whatever its case; words are what spaces part, so scripts without any score 1."""

    name: ClassVar[str] = "repeated-words"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return np.array([_longest_run(text) for text in sentences.texts], np.float64)

    def reason(self, score: float) -> str:
        return f"a word {score:.0f} times in a row, more than {self.most:g}"


def _longest_run(text: str) -> int:
    words = text.lower().split()
    if len(words) == len(set(words)):
        return min(len(words), 1)
    return max(len(list(run)) for _, run in groupby(words))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedPassages(Bounded):
    """The share of the passages of eight characters that are there already, 0 to 1; in every script."""

    name: ClassVar[str] = "repeated-passages"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.repeated_share(PASSAGE)

    def reason(self, score: float) -> str:
        return f"{score:.2f} of its passages are there already, more than {self.most:g}"
