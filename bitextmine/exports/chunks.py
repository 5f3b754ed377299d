"""A bitext as the bytes of a download, a piece at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from bitextmine.bitext import Bitext, PairsReader
from bitextmine.exports import tmx
from bitextmine.exports.archive import moses_side, moses_zip
from bitextmine.exports.lines import TSV_COLUMNS, jsonl_lines, tsv_lines
from bitextmine.exports.parquet import rewritten, stored_file
from bitextmine.exports.streams import compressed
from bitextmine.exports.wanted import PLAIN_TSV, Export, ExportFormat
from bitextmine.languages import bcp47


def export_chunks(bitext: Bitext, wanted: Export = PLAIN_TSV) -> Generator[bytes]:
    """The export, best pairs first; no piece is empty, and what is held in memory does not grow with the bitext.

    Raises, at any piece:
        ArtifactError: the file is damaged. What was given out so far is no whole export.
        NotFoundError: `bitext-not-found`, it was deleted before the first piece.
    """
    return (chunk for chunk in compressed(_contents(bitext, wanted), wanted.compression) if chunk)


def _contents(bitext: Bitext, wanted: Export) -> Iterator[bytes]:
    if wanted.is_stored_file:
        yield from stored_file(bitext)
        return
    with bitext.opened() as reader:
        positions = reader.span(wanted.margins)
        match wanted.form:
            case ExportFormat.TSV:
                columns = TSV_COLUMNS if bitext.scored else TSV_COLUMNS[1:]
                yield from map(tsv_lines, reader.batches(positions, columns))
            case ExportFormat.JSONL:
                yield from map(jsonl_lines, reader.batches(positions))
            case ExportFormat.TMX:
                yield from _tmx(bitext, reader, positions)
            case ExportFormat.PARQUET:
                yield from rewritten(reader, positions)
            case ExportFormat.MOSES if wanted.side:
                yield from moses_side(reader, positions, wanted.side)
            case ExportFormat.MOSES:
                yield from moses_zip(bitext, reader, positions)


def _tmx(bitext: Bitext, reader: PairsReader, positions: range) -> Iterator[bytes]:
    langs = bcp47(bitext.parameters["src_lang"]), bcp47(bitext.parameters["tgt_lang"])
    yield tmx.head(bitext)
    for batch in reader.batches(positions):
        yield tmx.units(batch, langs)
    yield tmx.FOOT
