"""What an export is to be: its format, its compression, a side of it, and what its file is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bitextmine.bitext import EVERY_MARGIN, Bitext, MarginRange
from bitextmine.errors import ParameterError

_NAME_DIGITS = 8  # of the bitext's id, in a file's name


class ExportFormat(StrEnum):
    """A download's form."""

    TSV = "tsv"  # margin, src, tgt; no header
    MOSES = "moses"  # a file a side, a sentence a line; both in a zip
    TMX = "tmx"  # TMX 1.4b
    JSONL = "jsonl"  # one object a pair with all columns
    PARQUET = "parquet"  # all columns


class Compression(StrEnum):
    """What an export is wrapped in."""

    NONE = "none"
    GZ = "gz"
    ZST = "zst"


class Side(StrEnum):
    """One side of the pairs."""

    SRC = "src"
    TGT = "tgt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What a download is to be.

    Raises:
        ParameterError: `invalid-export`, a combination that cannot be.
    """

    form: ExportFormat = ExportFormat.TSV
    compression: Compression = Compression.NONE
    side: Side | None = None
    margins: MarginRange = EVERY_MARGIN

    def __post_init__(self) -> None:
        if self.side and self.form is not ExportFormat.MOSES:
            message = f"a side can be had of the format moses, not of {self.form}, which holds both"
            raise ParameterError(message, code="invalid-export")
        if self.is_archive and self.compression is not Compression.NONE:
            message = (
                f"both sides of moses are one zip, which is compressed as it is: leave {self.compression} out, or ask "
                "for one side"
            )
            raise ParameterError(message, code="invalid-export")

    @property
    def is_archive(self) -> bool:
        """Whether it is a zip of two files."""
        return self.form is ExportFormat.MOSES and self.side is None

    @property
    def is_text(self) -> bool:
        """Whether it may be shown on a terminal."""
        return self.compression is Compression.NONE and self.form is not ExportFormat.PARQUET and not self.is_archive

    @property
    def is_stored_file(self) -> bool:
        """Whether it is the bitext's own file, byte for byte, but for the compression."""
        return self.form is ExportFormat.PARQUET and self.margins == EVERY_MARGIN


PLAIN_TSV = Export()


def file_name(bitext: Bitext, wanted: Export) -> str:
    """What the export is called: deu_Latn-eng_Latn-1a2b3c4d.tsv.gz."""
    stem = f"{language_pair(bitext)}-{bitext.digest[:_NAME_DIGITS]}"
    if wanted.side:
        ending = side_names(bitext)[list(Side).index(wanted.side)]
    else:
        ending = "zip" if wanted.is_archive else wanted.form.value
    compression = "" if wanted.compression is Compression.NONE else f".{wanted.compression}"
    return f"{stem}.{ending}{compression}"


def language_pair(bitext: Bitext) -> str:
    """deu_Latn-eng_Latn"""
    return f"{bitext.parameters['src_lang']}-{bitext.parameters['tgt_lang']}"


def side_names(bitext: Bitext) -> tuple[str, str]:
    """The endings of both sides' files: their languages; src and tgt where these are the same."""
    src, tgt = str(bitext.parameters["src_lang"]), str(bitext.parameters["tgt_lang"])
    return (src, tgt) if src != tgt else (Side.SRC.value, Side.TGT.value)


_ZIP = ".zip"
_FORMATS = {
    **dict.fromkeys(("", ".tsv", ".txt"), ExportFormat.TSV),
    **dict.fromkeys((".jsonl", ".ndjson"), ExportFormat.JSONL),
    ".tmx": ExportFormat.TMX,
    ".parquet": ExportFormat.PARQUET,
    _ZIP: ExportFormat.MOSES,
}
_COMPRESSIONS = {".gz": Compression.GZ, ".zst": Compression.ZST}
_OTHER_COMPRESSIONS = (".bz2", ".xz", ".7z", ".lzma", ".lz4", ".br")


def export_named(name: str, wanted: Export = PLAIN_TSV, *, form: ExportFormat | None = None) -> Export:
    """The export that a file's name tells, in this format where one is given, and else as `wanted`.

    Raises:
        ParameterError: `output-not-writable`, nothing is written as such a file; `invalid-export`.
    """
    stem, ending = _split(name)
    if ending in _OTHER_COMPRESSIONS:
        message = f"cannot write {name}: pairs are compressed as .gz or .zst, not as {ending}"
        raise ParameterError(message, code="output-not-writable")
    compression = _COMPRESSIONS.get(ending, Compression.NONE)
    if compression is not Compression.NONE:
        stem, ending = _split(stem)
    told = ExportFormat.MOSES if wanted.side else _FORMATS.get(ending)
    chosen = form or told
    if chosen is None:
        known = ", ".join(known for known in _FORMATS if known)
        message = f"cannot write {name}: pairs are written as {known}; name it so, or say which format"
        raise ParameterError(message, code="output-not-writable")
    export = replace(wanted, form=chosen, compression=compression)
    if export.is_archive != (ending == _ZIP):
        message = f"cannot write {name}: both sides of moses are one .zip, and nothing else is"
        raise ParameterError(message, code="output-not-writable")
    return export


def _split(name: str) -> tuple[str, str]:
    """A name without its ending, and the ending in small letters."""
    stem, dot, ending = name.rpartition(".")
    return (stem, f".{ending.lower()}") if dot and stem else (name, "")
