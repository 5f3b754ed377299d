"""The language that each side looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitextmine.corpus.identify import Look, agree, identify, known_languages, looks
from bitextmine.filters.pair_filter import Bounded, PairBatch

_LEAST_LETTERS = 10  # of fewer the identifier cannot tell
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_KANA = re.compile("[\u3040-\u30ff\uff66-\uff9f]")
_WRITTEN_IN_HAN = frozenset({"zho", "yue", "wuu", "jpn"})
_SURE, _POSSIBLE = 0.5, 0.05  # chances of another language, and of its own
_SURER, _HARDLY_POSSIBLE = 0.9, 0.01
_FEWEST, _MOST = 50, 5_000  # sides that can be told, and pairs, to fit on
_MANY = 0.02  # of sides that look like a third language: more than corpora have
_MOST_OF_ALL = 0.15


class Trust(IntEnum):
    """In what the identifier says of a language, going by how often it takes it for a third one."""

    FULL = 2
    IF_SURER = 1
    OTHER_SIDE_ONLY = 0  # that a side looks like the other side's language is all that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Language(Bounded):
    """Drops pairs of which a side looks like another language than its own.

    The score counts such sides, 0 to 2. A side looks so where the identifier gives another language a chance of 0.5 or
    more and its own less than 0.05. Where it does not know the language, or there are fewer than ten letters, the side
    passes; so it does in Chinese and Japanese where it is mostly Chinese characters without kana, which both have.

    Many languages the identifier knows poorly: it takes Galician for Portuguese, Swiss German for German. So its word
    is tried on some thousand pairs of the bitext: where more than 2% of a side look like a third language, such a
    language must have a chance of 0.9 and the side's own less than 0.01; where even so more than 15% do, third
    languages count no more.
    """

    name: ClassVar[str] = "language"
    most: float = 0.0
    src_trust: Trust = Trust.FULL
    tgt_trust: Trust = Trust.FULL

    @property
    def learnt(self) -> Mapping[str, float]:
        return {"src_trust": float(self.src_trust), "tgt_trust": float(self.tgt_trust)}

    def fitted(self, batches: Iterable[PairBatch]) -> Language:
        src: list[Trust | None] = []
        tgt: list[Trust | None] = []
        rows = 0
        for pairs in batches:
            src += [needed for _, needed in _told(pairs.src, (pairs.src_lang, pairs.tgt_lang))]
            tgt += [needed for _, needed in _told(pairs.tgt, (pairs.tgt_lang, pairs.src_lang))]
            rows += len(pairs)
            if rows >= _MOST:
                break
        return replace(self, src_trust=_trust(src), tgt_trust=_trust(tgt))

    def score(self, pairs: PairBatch) -> NDArray[np.float64]:
        src = _wrong(pairs.src, (pairs.src_lang, pairs.tgt_lang), self.src_trust)
        return src + _wrong(pairs.tgt, (pairs.tgt_lang, pairs.src_lang), self.tgt_trust)

    def reason(self, score: float) -> str:
        return "both sides look like another language" if score > 1 else "a side looks like another language"


def _trust_needed(look: Look, other_side: str) -> Trust | None:
    """How far the identifier has to be trusted for a side to be taken as wrong; None: it may be right."""
    if look.other < _SURE or look.own >= _POSSIBLE:
        return None
    if agree(other_side, look.lang):
        return Trust.OTHER_SIDE_ONLY
    return Trust.IF_SURER if look.other >= _SURER and look.own < _HARDLY_POSSIBLE else Trust.FULL


def _trust(needed: Sequence[Trust | None]) -> Trust:
    """How far it can be trusted, by what some sides would need."""
    if len(needed) < _FEWEST:
        return Trust.FULL
    surer, less_sure = (needed.count(trust) / len(needed) for trust in (Trust.IF_SURER, Trust.FULL))
    if surer + less_sure <= _MANY:
        return Trust.FULL
    return Trust.IF_SURER if surer <= _MOST_OF_ALL else Trust.OTHER_SIDE_ONLY


def _wrong(texts: Sequence[str], langs: tuple[str, str], trust: Trust) -> NDArray[np.float64]:
    wrong = np.zeros(len(texts), np.float64)
    for row, needed in _told(texts, langs):
        wrong[row] = needed is not None and trust >= needed
    return wrong


def _told(texts: Sequence[str], langs: tuple[str, str]) -> list[tuple[int, Trust | None]]:
    """Of each text that can be told, its number and what is needed to take it as wrong.

    Args:
        langs: the texts' and the other side's.
    """
    wanted, other_side = (lang.partition("_")[0] for lang in langs)
    if wanted not in known_languages():
        return []
    asked = [row for row, text in enumerate(texts) if _can_be_told(text, wanted)]
    best = identify([texts[row] for row in asked])
    found: dict[int, Trust | None] = dict.fromkeys(asked)
    # Most look like their own language, and need no second look.
    doubted = [row for row, code in zip(asked, best, strict=True) if not agree(wanted, code)]
    for row, look in zip(doubted, looks([texts[row] for row in doubted], wanted), strict=True):
        found[row] = _trust_needed(look, other_side)
    return list(found.items())


def _can_be_told(text: str, lang: str) -> bool:
    letters = sum(map(str.isalpha, text))
    if letters < _LEAST_LETTERS:
        return False
    return lang not in _WRITTEN_IN_HAN or len(_HAN.findall(text)) * 2 < letters or _KANA.search(text) is not None
