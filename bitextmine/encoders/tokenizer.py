"""Sentences to token ids, with SentencePiece or with a tokenizer.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bitextmine.errors import EncoderError, InputError


@dataclass(frozen=True)
class Tokens:
    """The tokens of n sentences, one after the other."""

    ids: NDArray[np.int64]  # (sum of lengths,)
    lengths: NDArray[np.int64]  # (n,), at least 1: every sentence has a mark at its end
    truncated: int  # sentences that were longer than allowed

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(n,) where in `ids` each sentence begins."""
        return np.cumsum(self.lengths) - self.lengths

    def padded(self, rows: NDArray[np.int64], length: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`input_ids` and `attention_mask`, both (len(rows), longest) int64, of some of the sentences.

        Args:
            length: what to pad to at least, in tokens.
        """
        lengths = self.lengths[rows]
        starts = self.starts[rows]
        columns = np.arange(max(lengths.max(), length))
        mask = columns < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.ids[(starts[:, None] + columns)[mask]]
        return ids, mask.astype(np.int64)


class Tokenizer(Protocol):
    """Turns sentences into tokens. Shared by threads."""

    def __call__(self, sentences: Sequence[str]) -> Tokens:
        """Tokenise; sentences beyond the maximum lose their tail and keep their end mark.

        Raises:
            InputError: a sentence holds a lone surrogate, so that it is not text.
        """

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """Which characters of a sentence each of its tokens stands for, of however many; (0, 0) of marks, the prefix
        and spaces.

        Raises:
            InputError: as above.
            ParameterError: `no-token-vectors`: it does not tell.
        """


class SentencePieceTokenizer:
    """A SentencePiece model that puts its begin and end marks around every sentence. Shared by threads."""

    def __init__(self, model: bytes, *, prefix: str, max_tokens: int, threads: int) -> None:
        """Load a model.

        Raises:
            EncoderError: the bytes are not a SentencePiece model, or it has no begin and end marks.
        """
        import sentencepiece

        try:
            self._model: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise EncoderError("the tokenizer is not a SentencePiece model") from error
        if min(self._model.bos_id(), self._model.eos_id()) < 0:
            raise EncoderError("the SentencePiece model has no begin or end mark")
        self._prefix = prefix
        self._max_tokens = max_tokens
        self._threads = threads

    def __call__(self, sentences: Sequence[str]) -> Tokens:
        """See `Tokenizer`."""
        texts = [utf8(self._prefix + sentence) for sentence in sentences]
        pieces = self._model.encode(texts, add_bos=True, add_eos=True, num_threads=self._threads)
        truncated = 0
        for row, ids in enumerate(pieces):
            if len(ids) > self._max_tokens:
                pieces[row] = ids[: self._max_tokens - 1] + ids[-1:]
                truncated += 1
        return joined_tokens(pieces, truncated)

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """See `Tokenizer`."""
        text = self._prefix + sentence
        content = utf8(text)
        pieces = self._model.encode(content, return_type="proto").pieces  # their places are counted in bytes
        places = [0, *accumulate(byte & 0xC0 != 0x80 for byte in content)]  # characters before each byte
        spans = [(places[piece.begin], places[piece.end]) for piece in pieces]
        return [(0, 0), *_spans_within(text, spans, len(self._prefix)), (0, 0)]


class JsonTokenizer:
    """A `tokenizer.json` of the tokenizers library, which has the marks of a sentence in its own template."""

    def __init__(self, model: bytes, *, prefix: str, max_tokens: int) -> None:
        """Load one; it uses all cores unless TOKENIZERS_PARALLELISM=false.

        Raises:
            EncoderError: the bytes are not a tokenizer.json.
        """
        import tokenizers

        try:
            self._model: Any = tokenizers.Tokenizer.from_buffer(model)
        except Exception as error:  # the library raises plain Exception
            raise EncoderError("the tokenizer is not a tokenizer.json") from error
        self._model.no_padding()
        self._model.enable_truncation(max_tokens)
        self._prefix = prefix

    def __call__(self, sentences: Sequence[str]) -> Tokens:
        """See `Tokenizer`."""
        texts = [utf8(self._prefix + sentence).decode() for sentence in sentences]
        encodings = self._model.encode_batch(texts)
        # Without marks an empty sentence has no token; it must have a vector, of no meaning.
        pieces = [encoding.ids or [0] for encoding in encodings]
        return joined_tokens(pieces, sum(bool(encoding.overflowing) for encoding in encodings))

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """See `Tokenizer`."""
        text = utf8(self._prefix + sentence).decode()
        return _spans_within(text, self._model.encode(text).offsets, len(self._prefix))


def _spans_within(text: str, spans: Iterable[tuple[int, ...]], prefix: int) -> list[tuple[int, int]]:
    """Spans of a text as spans of what follows its prefix, without the spaces that they begin with."""
    found = []
    for start, stop in spans:
        first = max(start, prefix)
        first += len(text[first:stop]) - len(text[first:stop].lstrip())
        found.append((first - prefix, stop - prefix) if first < stop else (0, 0))
    return found


def joined_tokens(pieces: list[list[int]], truncated: int) -> Tokens:
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    return Tokens(np.fromiter(chain.from_iterable(pieces), np.int64, int(lengths.sum())), lengths, truncated)


def utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"not a Unicode text: {error.reason}, at character {error.start} of {text[:40]!a}") from error
