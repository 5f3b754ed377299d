"""How long a sentence is, and what its characters are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.preparation.characters import Characters, Kind
from bitextmine.preparation.rule import Bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Length(Bounded):
    """Characters (code points), spaces and marks among them."""

    name: ClassVar[str] = "length"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.lengths.astype(np.float64)

    def reason(self, score: float) -> str:
        bound = f"more than {self.most:g}" if score > self.most else f"fewer than {self.least:g}"
        return f"{score:.0f} characters, {bound}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Punctuation(Bounded):
    """The share of characters, spaces aside, that are neither letters with their marks nor digits, 0 to 1."""

    name: ClassVar[str] = "punctuation"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.share(Kind.OTHER)

    def reason(self, score: float) -> str:
        return f"{score:.2f} of it is punctuation and symbols, more than {self.most:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits(Bounded):
    """The share of characters, spaces aside, that are digits of whatever script, 0 to 1."""

    name: ClassVar[str] = "digits"

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.share(Kind.DIGIT)

    def reason(self, score: float) -> str:
        return f"{score:.2f} of it is digits, more than {self.most:g}"
