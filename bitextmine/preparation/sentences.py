"""Documents become sentences: line by line, so that paragraphs are never merged, then by sentencex's rules."""

from __future__ import annotations

import re

from sentencex import segment

from bitextmine.languages import bcp47

_LINE_BREAKS = re.compile("[\n\r\v\f\x85\u2028\u2029]+")
# sentencex 1.0.32 fails on white space of several bytes after an initial, and on surrogates, which JSON may hold: it
# gets a plain space for each.
_UNREADABLE = re.compile("[^\\S ]|[\ud800-\udfff]")
_KHMER_END = re.compile("(?<=[\u17d4\u17d5])\\s*")  # khan and bariyoosan, which sentencex does not know
# Languages whose sentences have no mark at their end that would tell.
UNSPLIT = frozenset({"tha", "lao", "bod", "dzo"})


def lines_in(text: str) -> list[str]:
    """The lines of a text that hold anything, stripped."""
    return [line for part in _LINE_BREAKS.split(text) if (line := part.strip())]


def sentences_in(text: str, lang: str) -> list[str]:
    """The sentences of a text in a language (deu_Latn form), stripped, in their order; nothing else is changed.

    sentencex has rules for some thirty languages and takes those of a similar one for others.
    """
    code = bcp47(lang).partition("-")[0]
    return [sentence for line in lines_in(text) for sentence in _split(line, lang, code)]


def _split(line: str, lang: str, code: str) -> list[str]:
    if lang.startswith("khm"):
        return [part for part in _KHMER_END.split(line) if part]
    found, start = [], 0
    for piece in _pieces(code, _UNREADABLE.sub(" ", line)):
        if sentence := line[start : start + len(piece)].strip():
            found.append(sentence)
        start += len(piece)
    return found


def _pieces(code: str, line: str) -> list[str]:
    """The sentences of a line with all that is between them; the line as it is where sentencex fails on it."""
    try:
        pieces: list[str] = segment(code, line)
    except BaseException as error:  # what Rust panics with is no Exception, and has no name to import
        if type(error).__name__ != "PanicException":
            raise
        return [line]
    return pieces
