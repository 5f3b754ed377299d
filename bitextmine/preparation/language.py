"""The language that a sentence looks like, and the script that it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.identify import agree, identify, known_languages, looks
from bitextmine.preparation.characters import Characters, Kind
from bitextmine.preparation.rule import Bounded

LEAST_LETTERS = 10  # of fewer the identifier cannot tell
USUAL = 0.8  # the chance of another language that passes, unless a bound is asked for
POSSIBLE = 0.05  # a chance of its own language that lets a sentence pass
# Scripts in which languages are written that have several; the ones of Unicode's names stand for them.
_WRITTEN_IN = {
    "Hans": {"Hani", "Bopo"}, "Hant": {"Hani", "Bopo"}, "Jpan": {"Hani", "Hira", "Kana"}, "Hang": {"Hang", "Hani"},
    "Aran": {"Arab"},
}  # fmt: skip
# From which chance of another language on a sentence is dropped, where the usual one dropped more than 2% of
# Tatoeba's sentences: languages that are close to larger ones (docs/preparation.md).
CLOSE_LANGUAGES: Mapping[str, float] = {
    **dict.fromkeys(("cat", "ile", "kur", "oci", "pms", "swa", "war"), 0.9),
    **dict.fromkeys(("bel", "fry", "hsb", "ido", "nno", "uzb"), 0.95),
    **dict.fromkeys(("afr", "cbk", "dsb", "tuk", "yid"), 0.98),
    **dict.fromkeys(("aze", "glg", "nob", "nor"), 0.99),
    **dict.fromkeys(("ast", "gsw"), 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Bounded):
    """The share of letters of another script than the language's, 0 to 1; letters common to all scripts aside."""

    name: ClassVar[str] = "script"
    scripts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lang: str, bounds: Bounded) -> Script:
        """For a language in deu_Latn form."""
        script = lang.partition("_")[2]
        return cls(least=bounds.least, most=bounds.most, scripts=frozenset(_WRITTEN_IN.get(script, {script})))

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        return sentences.foreign_share(self.scripts)

    def reason(self, score: float) -> str:
        return f"{score:.2f} of its letters are of another script, more than {self.most:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Bounded):
    """The chance that fastText's small identifier gives to the likeliest other language, 0 to 1.

    0 where its own, or one hardly told apart from it, has a chance of POSSIBLE or more, where there are fewer than
    LEAST_LETTERS letters, and where the identifier does not know the language.
    """

    name: ClassVar[str] = "language"
    lang: str = ""  # ISO 639-3

    @classmethod
    def of(cls, lang: str, bounds: Bounded, thresholds: Mapping[str, float]) -> Language:
        """For a language in deu_Latn form. `thresholds` are by ISO 639-3 code and come before all others; then a bound
        that is not the usual one, and then those of close languages.
        """
        code = lang.partition("_")[0]
        most = CLOSE_LANGUAGES.get(code, USUAL) if bounds.most == USUAL else bounds.most
        most = thresholds.get(code, most)
        return cls(least=bounds.least, most=most, lang=code)

    @property
    def is_known(self) -> bool:
        """Whether the identifier can tell the language at all."""
        return any(agree(self.lang, known) for known in known_languages())

    def score(self, sentences: Characters) -> NDArray[np.float64]:
        scores = np.zeros(len(sentences), np.float64)
        if not self.is_known or self.most >= 1:
            return scores
        asked = np.flatnonzero(sentences.count(sentences.kinds == Kind.LETTER) >= LEAST_LETTERS)
        best = identify([sentences.texts[row] for row in asked.tolist()])
        # Most sentences look like their own language, and need no second look.
        rows = [row for row, code in zip(asked.tolist(), best, strict=True) if not agree(self.lang, code)]
        for row, look in zip(rows, looks([sentences.texts[row] for row in rows], self.lang), strict=True):
            scores[row] = look.other if look.own < POSSIBLE else 0.0
        return scores

    def reason(self, score: float) -> str:
        return f"another language has a chance of {score:.2f}, more than {self.most:g}, and {self.lang} hardly any"
