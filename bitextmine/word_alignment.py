"""Which words of two sentences stand for each other, by the vectors of their tokens.

As SimAlign's Argmax (Jalili Sabet et al. 2020, Findings of EMNLP, section 2.3): two tokens are linked where each is the
other's nearest, and two words where some of their tokens are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.token_vectors import Span, token_vectors

# Of a word, besides letters, digits and marks: hyphens, apostrophes, what stands for these in Hebrew, and joiners.
_INSIDE = frozenset("_-'’\u05be\u05f3\u05f4\u200c\u200d")
# Of scripts without spaces each token is a word of its own.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class WordAlignment:
    """Words as spans of characters (code points) of each sentence, and links between their positions."""

    src_words: list[Span]
    tgt_words: list[Span]
    links: list[tuple[int, int]]


def align_words(encoder: Encoder, pairs: list[tuple[str, str]]) -> list[WordAlignment]:
    """The alignment of each pair.

    Raises:
        ParameterError: `no-token-vectors`.
        EncoderError, InputError: as `token_vectors`.
    """
    found = token_vectors(encoder, [sentence for pair in pairs for sentence in pair])
    aligned = []
    for (src, tgt), of_src, of_tgt in zip(pairs, found[::2], found[1::2], strict=True):
        src_words, src_word_of = _words(src, of_src.spans)
        tgt_words, tgt_word_of = _words(tgt, of_tgt.spans)
        links = set()
        if of_src.spans and of_tgt.spans:
            sims = of_src.vectors @ of_tgt.vectors.T
            best = sims.argmax(axis=1)
            mutual = np.flatnonzero(sims.argmax(axis=0)[best] == np.arange(len(best)))
            links = {(src_word_of[token], tgt_word_of[best[token]]) for token in mutual.tolist()}
        aligned.append(WordAlignment(src_words, tgt_words, sorted(links)))
    return aligned


def _words(text: str, spans: list[Span]) -> tuple[list[Span], list[int]]:
    """The words that tokens are parts of, in their order and apart from one another, and the word of each token.

    The spans of tokens may overlap: XLM-R has one for the mark before a word, which stands for the first character too.
    """
    word_at = _spaced_words(text)
    words: list[Span] = []
    word_of: list[int] = []
    for start, stop in spans:
        begin, end = word_at[start] or (start, stop)
        if words and (begin < words[-1][1] or (begin == words[-1][1] and _is_mark(text[begin]))):
            words[-1] = (words[-1][0], max(words[-1][1], end))
        else:
            words.append((begin, end))
        word_of.append(len(words) - 1)
    return words, word_of


def _spaced_words(text: str) -> list[Span | None]:
    """For each character the word that it is part of, of scripts that put spaces between words; None of others."""
    within: list[bool] = []
    for character in text:
        inside = character.isalnum() or character in _INSIDE
        within.append(inside or (bool(within) and within[-1] and _is_mark(character)))
    word_at: list[Span | None] = []
    for inside, places in groupby(within):
        start = len(word_at)
        stop = start + sum(1 for _ in places)
        whole = (start, stop) if inside and not _UNSPACED.search(text, start, stop) else None
        word_at += [whole] * (stop - start)
    return word_at


def _is_mark(character: str) -> bool:
    """Whether it belongs to the character before it, such as a vowel of Devanagari, Thai, Hebrew or Arabic."""
    return unicodedata.category(character).startswith("M")


__all__ = ["WordAlignment", "align_words"]
