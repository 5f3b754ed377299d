"""The pairs that filters dropped, as a file: TSV, JSONL or Parquet, with the filter and the reason of each."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from bitextmine.bitext import ROW_GROUP, Bitext
from bitextmine.errors import ParameterError
from bitextmine.exports.lines import fixed, joined, jsonl_lines, one_line
from bitextmine.exports.streams import Outbox, compressed
from bitextmine.exports.wanted import PLAIN_TSV, Export, ExportFormat
from bitextmine.filtered import REJECTED_SCHEMA, RejectedPairs
from bitextmine.pairs_file import pairs_writer


def check_rejected_export(wanted: Export) -> None:
    """
    Raises:
        ParameterError: `invalid-export`: a format that has no place for a filter and a reason.
    """
    if wanted.form not in (ExportFormat.TSV, ExportFormat.JSONL, ExportFormat.PARQUET):
        message = f"dropped pairs are written as tsv, jsonl or parquet, not as {wanted.form}"
        raise ParameterError(message, code="invalid-export")


def rejected_chunks(bitext: Bitext, wanted: Export = PLAIN_TSV) -> Generator[bytes]:
    """What filters dropped of a bitext, as bytes: in TSV filter, reason, margin (where there are any), src and tgt.

    Raises:
        ParameterError: `invalid-export`; at any piece
        ArtifactError: the file is damaged.
        NotFoundError: `bitext-not-found`, it was deleted meanwhile.
    """
    check_rejected_export(wanted)
    batches = RejectedPairs(bitext).batches()
    match wanted.form:
        case ExportFormat.PARQUET:
            contents = _parquet(batches)
        case ExportFormat.JSONL:
            contents = map(jsonl_lines, batches)
        case _:
            contents = (_tsv_lines(batch, scored=bitext.scored) for batch in batches)
    return (chunk for chunk in compressed(contents, wanted.compression) if chunk)


def _tsv_lines(batch: pa.RecordBatch, *, scored: bool) -> bytes:
    margin = (pc.fill_null(fixed(batch["margin"]), ""), "\t") if scored else ()
    return joined(
        *(batch["filter"], "\t", batch["reason"], "\t"),
        *margin,
        *(one_line(batch["src"]), "\t", one_line(batch["tgt"]), "\n"),
    )


def _parquet(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    outbox = Outbox()
    with pairs_writer(outbox, REJECTED_SCHEMA, falling=False) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROW_GROUP)
            yield outbox.take()
    yield outbox.take()
