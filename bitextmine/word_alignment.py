"""Which words of two sentences stand for each other, by the vectors of their tokens.

As SimAlign's Argmax (Jalili Sabet et al. 2020, Findings of EMNLP, section 2.3): two tokens are linked where each is the
other's nearest, and two words where some of their tokens are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from bitextmine.encoders.encoder import Encoder
from bitextmine.encoders.token_vectors import Span, token_vectors

# Letters, marks and digits in a row; of scripts without spaces each token is a word of its own.
_WORD = re.compile(r"[\w'’\-\u0300-\u036f\u0900-\u0dff]+")
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
    """The words that tokens are parts of, and the word of each token."""
    stops = {match.end(): match.start() for match in _WORD.finditer(text) if not _UNSPACED.search(match.group())}
    bounds = sorted(stops.items())
    words: list[Span] = []
    word_of: list[int] = []
    for start, stop in spans:
        whole = next(((begin, end) for end, begin in bounds if begin <= start < end), (start, stop))
        if not words or words[-1] != whole:
            words.append(whole)
        word_of.append(len(words) - 1)
    return words, word_of


__all__ = ["WordAlignment", "align_words"]
