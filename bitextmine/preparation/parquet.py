"""Parquet files, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bitextmine.corpus import Reason, Refusal
from bitextmine.corpus.cleaning import RefusedLineError, name_in
from bitextmine.corpus.readers import changed
from bitextmine.errors import CorpusInputError
from bitextmine.preparation.reading import Record, Source

_BATCH_ROWS = 1_024
_TEXT, _OTHERS = "text", ("id", "doc_id", "title")


def parquet_records(source: Source, max_chars: int) -> Iterator[tuple[Record | Refusal, int]]:
    """The rows of a Parquet file, numbered from 1, each with the bytes read so far, about. Columns but text, id, doc_id
    and title are not read.

    Raises:
        CorpusInputError: `file-not-found`, `corrupt-input`, `unknown-columns`, `input-changed`.
    """
    try:
        before = _state(source)
        with pq.ParquetFile(source.path, pre_buffer=False) as file:
            columns = _columns(file.schema_arrow, source)
            rows, size = max(file.metadata.num_rows, 1), before[1]
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                for values in batch.to_pylist():
                    number += 1
                    yield _row(number, values, max_chars), size * number // rows
        if _state(source) != before:
            raise changed(source.label)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CorpusInputError(f"{source.label} is damaged: {reason}", code="corrupt-input") from error


def _columns(schema: pa.Schema, source: Source) -> list[str]:
    """Those to read."""
    if _TEXT not in schema.names:
        names = ", ".join(schema.names[:12]) or "none"
        message = f"{source.label} has no column {_TEXT!r}; its columns are: {names}"
        raise CorpusInputError(message, code="unknown-columns")
    if not _is_text(schema.field(_TEXT).type):
        message = f"{source.label}: the column {_TEXT!r} holds {schema.field(_TEXT).type}, not strings"
        raise CorpusInputError(message, code="unknown-columns")
    return [_TEXT, *(name for name in _OTHERS if name in schema.names)]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _row(number: int, values: dict[str, Any], max_chars: int) -> Record | Refusal:
    text = values[_TEXT]
    if text is None or not text.strip():
        return Refusal(number, Reason.EMPTY, "no text")
    try:
        identifier, document = (name_in(values, name, max_chars) for name in ("id", "doc_id"))
    except RefusedLineError as refusal:
        return Refusal(number, refusal.reason, refusal.detail)
    return Record(number, text, identifier, document, None, isinstance(values.get("title"), str))


def _state(source: Source) -> tuple[int, int, int]:
    status = source.path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
