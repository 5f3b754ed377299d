"""What a file of pairs is, and the pairs that come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bitextmine.corpus.cleaning import Reason, Refusal, RefusedLineError, SentenceBlock, clean_text
from bitextmine.errors import ParameterError
from bitextmine.pair_files.columns import Columns


class PairFormat(StrEnum):
    """How a file holds its pairs."""

    TSV = "tsv"  # a pair a line, its sentences in two of the columns
    MOSES = "moses"  # two files aligned line by line, or a zip archive that holds two such files
    TMX = "tmx"  # TMX 1.4, units of any number of languages
    JSONL = "jsonl"  # an object a line: src, tgt, and optionally src_id, tgt_id, src_doc_id, tgt_doc_id


_FORMATS = {
    ".tsv": PairFormat.TSV,
    ".txt": PairFormat.TSV,
    ".zip": PairFormat.MOSES,
    ".tmx": PairFormat.TMX,
    ".xml": PairFormat.TMX,
    ".jsonl": PairFormat.JSONL,
    ".ndjson": PairFormat.JSONL,
    ".json": PairFormat.JSONL,
}


@dataclass(frozen=True, slots=True)
class PairFile:
    """A file of pairs, which may be compressed. `source` is the name that provenance keeps.

    Languages are in `deu_Latn` form: they choose the files of a zip archive and the variants of a TMX unit.
    `tgt_path` is the second file of a Moses pair that is no archive; `columns` are a TSV's, told by its first line
    if not given. `sha256` of `path`, where it is known, spares a read, and what is read must amount to it;
    `tgt_sha256` likewise.
    """

    path: Path
    src_lang: str
    tgt_lang: str
    format: PairFormat
    tgt_path: Path | None = None
    columns: Columns | None = None
    source: str = ""
    sha256: str = ""
    tgt_sha256: str = ""

    def __post_init__(self) -> None:
        if self.tgt_path is not None and self.format is not PairFormat.MOSES:
            raise ParameterError(f"two files are a Moses pair, not {self.format}")
        if self.columns is not None and self.format is not PairFormat.TSV:
            raise ParameterError(f"columns are a TSV's; {self.format} has none")
        if self.src_lang == self.tgt_lang and self.tgt_path is None and self.format in _TOLD_BY_LANGUAGE:
            message = f"both sides are {self.src_lang}: in {self.format} the languages are what tells the sides apart"
            raise ParameterError(message)

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,) if self.tgt_path is None else (self.path, self.tgt_path)

    @property
    def names(self) -> tuple[str, str]:
        """What provenance calls the file of each side, printable."""
        src = self.source or self.path.name
        return printable(src), printable(src if self.tgt_path is None else self.tgt_path.name)

    @property
    def label(self) -> str:
        """What errors call the file: its path, unless it is an upload's."""
        return printable(self.source or str(self.path))


_TOLD_BY_LANGUAGE = (PairFormat.TMX, PairFormat.MOSES)


def printable(name: str) -> str:
    """A file's name, with bytes that are not UTF-8 as escapes."""
    return name.encode(errors="backslashreplace").decode()


def pair_format_of(path: Path) -> PairFormat:
    """The format that a file's name tells, compressed or not; TSV where it tells none."""
    suffixes = [suffix.lower() for suffix in reversed(path.suffixes)]
    return next((_FORMATS[suffix] for suffix in suffixes if suffix in _FORMATS), PairFormat.TSV)


NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Side:
    """One sentence of a pair, with what the file calls it and its document."""

    text: str
    id: str | None = None
    doc_id: str | None = None


@dataclass(slots=True)
class PairBlock:
    """Pairs that passed, as two blocks of equal length, and the lines (in TMX: units) that did not.

    `lines` counts what was looked at, usable or not; `consumed` the bytes of the file read so far. `extras` has what
    else the file says of each pair, unchecked, by the names of a bitext's columns: `margin` for one.
    """

    src: SentenceBlock = field(default_factory=SentenceBlock)
    tgt: SentenceBlock = field(default_factory=SentenceBlock)
    extras: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    lines: int = 0
    consumed: int = 0

    def __len__(self) -> int:
        return len(self.src.texts)

    def add(self, line: int, src: Side, tgt: Side, extra: Mapping[str, Any] = NOTHING) -> None:
        self.lines += 1
        self.extras.append(extra)
        for block, side in ((self.src, src), (self.tgt, tgt)):
            block.texts.append(side.text)
            block.lines.append(line)
            block.ids.append(side.id)
            block.doc_ids.append(side.doc_id)

    def refuse(self, line: int, why: RefusedLineError) -> None:
        self.lines += 1
        self.refused.append(Refusal(line, why.reason, why.detail))


def clean_side(side: str, text: str, max_chars: int) -> str:
    """A sentence of a pair, cleaned; `side` is source or target.

    Raises:
        RefusedLineError: its detail says which side cannot be used.
    """
    try:
        return clean_text(text, max_chars)
    except RefusedLineError as refusal:
        raise RefusedLineError(refusal.reason, f"{side}: {refusal.detail}") from None


def bad_record(detail: str) -> RefusedLineError:
    return RefusedLineError(Reason.BAD_RECORD, detail)
