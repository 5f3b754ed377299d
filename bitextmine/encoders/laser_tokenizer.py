"""LASER's sentences as token ids: text cleaned, cut by SentencePiece, pieces looked up in fairseq's dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bitextmine.encoders.laser_text import laser_text
from bitextmine.encoders.tokenizer import Tokens, joined_tokens, utf8
from bitextmine.errors import EncoderError, ParameterError

# fairseq's dictionaries begin with these four, which their files leave out.
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PADDING, END, UNKNOWN = range(4)

_LEAST_IN_VOCABULARY = 0.5  # of a SentencePiece model's pieces; nearly all, where the two belong together


class LaserTokenizer:
    """The tokens of LASER: pieces and one mark at the end. Shared by threads.

    A sentence without any piece is its end mark alone. The begin mark that LASER3 students expect is put in front by
    their graph.
    """

    def __init__(self, model: bytes, vocabulary: bytes, *, prefix: str, max_tokens: int, threads: int) -> None:
        """Load a SentencePiece model and what `vocabulary_file` wrote.

        Raises:
            EncoderError: they are not that, or do not belong together.
        """
        import sentencepiece

        try:
            self._model: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise EncoderError("the tokenizer is not a SentencePiece model") from error
        self._ids = _read_vocabulary(vocabulary)
        pieces = [self._model.id_to_piece(id_) for id_ in range(self._model.get_piece_size())]
        share = sum(piece in self._ids for piece in pieces) / max(1, len(pieces))
        if share < _LEAST_IN_VOCABULARY:
            raise EncoderError(f"of the SentencePiece model's pieces only {share:.0%} are in the vocabulary")
        self._prefix = prefix
        self._max_tokens = max_tokens
        self._threads = threads

    def __call__(self, sentences: Sequence[str]) -> Tokens:
        """See `Tokenizer`."""
        # Checked first: what is no text would be cleaned away.
        texts = [laser_text(utf8(self._prefix + sentence).decode()) for sentence in sentences]
        tokens = []
        truncated = 0
        for pieces in self._model.encode(texts, out_type=str, num_threads=self._threads):
            # LASER writes the pieces to a line and reads them back, so that a piece of spaces vanishes.
            ids = [self._ids.get(piece, UNKNOWN) for piece in " ".join(pieces).split()]
            if len(ids) >= self._max_tokens:
                del ids[self._max_tokens - 1 :]
                truncated += 1
            tokens.append([*ids, END])
        return joined_tokens(tokens, truncated)

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """See `Tokenizer`: it does not tell, since LASER rewrites a text before it cuts it."""
        raise ParameterError("LASER's tokenizer does not tell where its tokens are", code="no-token-vectors")


def vocabulary_file(symbols: Iterable[str]) -> bytes:
    """The content of `vocabulary.txt`: a symbol a line in the order of the ids, `SPECIAL_SYMBOLS` first.

    Raises:
        EncoderError: a symbol is empty, or would not fit on a line.
    """
    lines = list(symbols)
    for symbol in lines:
        if not symbol or "\n" in symbol:
            raise EncoderError(f"the vocabulary holds {symbol!r}, which is no symbol")
    return "".join(f"{line}\n" for line in lines).encode()


def _read_vocabulary(content: bytes) -> dict[str, int]:
    """Piece to id, without the special symbols: no text stands for them.

    Raises:
        EncoderError: not a vocabulary.
    """
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise EncoderError("the vocabulary is not UTF-8") from error
    if tuple(lines[: len(SPECIAL_SYMBOLS)]) != SPECIAL_SYMBOLS or lines.pop() != "":
        raise EncoderError(f"the vocabulary does not begin with {' '.join(SPECIAL_SYMBOLS)}, or is cut off")
    return {symbol: id_ for id_, symbol in enumerate(lines) if id_ >= len(SPECIAL_SYMBOLS)}
