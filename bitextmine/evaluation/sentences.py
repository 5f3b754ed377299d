"""Files that are aligned line by line: line i of one is the translation of line i of the other."""

from __future__ import annotations

from pathlib import Path

from bitextmine.corpus.readers import Limits, read_blocks
from bitextmine.errors import CorpusInputError, InputError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_sentences(path: Path, limits: Limits | None = None) -> list[str]:
    """The sentences of a file, one a line: UTF-8, plain or as .gz, .xz or .zst.

    Nothing is left out, as that would shift the lines against those of the other side.

    Raises:
        CorpusInputError: the file cannot be read (see `read_blocks`), is empty (`empty-corpus`), or a line is blank,
            too long or not UTF-8.
    """
    limits = limits or Limits()
    sentences: list[str] = []
    for block in read_blocks(path, limits):
        for number, line in enumerate(block.lines, start=block.first):
            sentences.append(_sentence(path, number, line, limits))
    if not sentences:
        raise CorpusInputError(f"{path.name} is empty", code="empty-corpus")
    return sentences


def read_aligned(src: Path, tgt: Path) -> tuple[list[str], list[str]]:
    """The sentences of two files that are aligned line by line.

    Raises:
        CorpusInputError: see `read_sentences`.
        InputError: `not-aligned`, one has more lines than the other.
    """
    sides = read_sentences(src), read_sentences(tgt)
    if len(sides[0]) != len(sides[1]):
        message = f"{src.name} has {len(sides[0]):,} lines and {tgt.name} {len(sides[1]):,}: they are not aligned"
        raise InputError(message, code="not-aligned")
    return sides


def _sentence(path: Path, number: int, line: bytes | None, limits: Limits) -> str:
    where = f"{path.name}, line {number:,}"
    if line is None:
        raise CorpusInputError(f"{where}: longer than {limits.max_line_bytes:,} bytes")
    try:
        sentence = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise CorpusInputError(f"{where}: not UTF-8") from error
    if not sentence.strip():
        raise CorpusInputError(f"{where}: blank; files that are aligned need a sentence on every line")
    return sentence
