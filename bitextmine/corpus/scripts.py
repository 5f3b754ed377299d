"""Which scripts a text is written in, by the names of its letters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

OTHER = "Zyyy"
# Scripts that put no spaces between words, so that a token is a character there.
UNSPACED = frozenset({"Hans", "Hant", "Hani", "Jpan", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Bopo"})
# How Unicode's names of letters begin, and the ISO 15924 code of the script (Unicode 15, UnicodeData.txt).
_BEGINNINGS = {
    "LATIN": "Latn", "FULLWIDTH LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "COPTIC": "Copt",
    "ARMENIAN": "Armn", "HEBREW": "Hebr", "ARABIC": "Arab", "SYRIAC": "Syrc", "THAANA": "Thaa", "NKO": "Nkoo",
    "DEVANAGARI": "Deva", "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya",
    "TAMIL": "Taml", "TELUGU": "Telu", "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai",
    "LAO": "Laoo", "TIBETAN": "Tibt", "MYANMAR": "Mymr", "GEORGIAN": "Geor", "HANGUL": "Hang", "ETHIOPIC": "Ethi",
    "CHEROKEE": "Cher", "CANADIAN SYLLABICS": "Cans", "KHMER": "Khmr", "MONGOLIAN": "Mong", "HIRAGANA": "Hira",
    "KATAKANA": "Kana", "HALFWIDTH KATAKANA": "Kana", "HALFWIDTH HANGUL": "Hang", "BOPOMOFO": "Bopo",
    "CJK": "Hani", "IDEOGRAPHIC": "Hani", "YI": "Yiii", "TIFINAGH": "Tfng", "OL CHIKI": "Olck",
    "MEETEI MAYEK": "Mtei", "JAVANESE": "Java", "BALINESE": "Bali", "SUNDANESE": "Sund", "VAI": "Vaii",
    "ADLAM": "Adlm", "CHAKMA": "Cakm", "TAI LE": "Tale", "NEW TAI LUE": "Talu", "TAI THAM": "Lana", "CHAM": "Cham",
    "LEPCHA": "Lepc", "LIMBU": "Limb", "BUGINESE": "Bugi", "SAMARITAN": "Samr", "GOTHIC": "Goth",
}  # fmt: skip


def scripts_in(texts: Iterable[str]) -> Counter[str]:
    """How many letters there are of each script, by ISO 15924 code; OTHER for scripts without one here."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    found: Counter[str] = Counter()
    for character, count in characters.items():
        if script := _script(character):
            found[script] += count
    return found


def letter_script(character: str) -> str:
    """The script of a letter; empty for what is no letter, or is one of no script that is known here."""
    script = _script(character)
    return "" if script == OTHER else script


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """Empty for what is no letter."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    words = unicodedata.name(character, "").split()
    for count in (2, 1):
        if script := _BEGINNINGS.get(" ".join(words[:count]).partition("-")[0]):
            return script
    return OTHER
