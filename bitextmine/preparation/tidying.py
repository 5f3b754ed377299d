"""Unicode normalisation of sentences, and what may be tidied up on request."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import cache

from bitextmine.corpus.scripts import UNSPACED
from bitextmine.preparation.parameters import Normalization, Tidying

_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"')
)
_SPACES = re.compile(r"\s+")
# What nobody sees: soft hyphen, combining grapheme joiner, marks of direction, word joiner, byte order mark ... Not the
# joiners U+200C and U+200D, which change how letters of Arabic and Indic scripts join, nor variation selectors.
_ZERO_WIDTH = "\u00ad\u034f\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
_BREAK = "\u200b"  # where a line may break: in Khmer, Thai, Lao and Burmese it parts words, so there it stays
_FORMS = re.compile("[\u3000\uff01-\uffee]+")  # half-width and full-width forms

Tidy = Callable[[str], str]


@cache
def tidier(normalization: Normalization, tidy: Collection[Tidying], lang: str) -> Tidy | None:
    """What makes a sentence of a language (deu_Latn form) tidy, before it is cleaned; None where nothing is to do.

    Cleaning composes (NFC) and strips anyway.
    """
    steps: list[Tidy] = []
    if normalization is Normalization.NFKC:
        steps.append(lambda text: unicodedata.normalize("NFKC", text))
    if Tidying.WIDTH in tidy:
        steps.append(lambda text: _FORMS.sub(lambda forms: unicodedata.normalize("NFKC", forms[0]), text))
    if Tidying.QUOTES in tidy:
        steps.append(lambda text: text.translate(_QUOTES))
    if Tidying.ZERO_WIDTH in tidy:
        unseen = re.compile(f"[{_ZERO_WIDTH}{'' if lang.partition('_')[2] in UNSPACED else _BREAK}]+")
        steps.append(lambda text: unseen.sub("", text))
    if Tidying.SPACES in tidy:
        steps.append(lambda text: _SPACES.sub(" ", text))
    if not steps:
        return None

    def tidied(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return tidied
