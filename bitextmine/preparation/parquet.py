"""Parquet files, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bitextmine.corpus import Limits, Reason, Refusal
from bitextmine.corpus.cleaning import RefusedLineError
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.rows import TooLong, is_text, name_of, opened_parquet, rows_in, too_long
from bitextmine.preparation.reading import Record, Source

_TEXT, _OTHERS = "text", ("id", "doc_id", "title")


def parquet_records(source: Source, max_chars: int) -> Iterator[tuple[Record | Refusal, int]]:
    """The rows of a Parquet file, numbered from 1, each with the bytes read so far, about. Columns but text, id, doc_id
    and title are not read.

    Raises:
        CorpusInputError: `file-not-found`, `corrupt-input`, `unknown-columns`, `input-too-large`, `decompression-bomb`,
            `input-changed`.
    """
    try:
        with opened_parquet(source.path, source.label, source.sha256) as file:
            columns = _columns(file.schema_arrow, source)
            rows, size = max(file.metadata.num_rows, 1), source.path.stat().st_size
            number = 0
            for some in rows_in(file, columns, Limits(), max_chars, name=source.label, size=size):
                for values in some:
                    number += 1
                    yield _row(number, values, max_chars), size * number // rows
    except FileNotFoundError as error:
        raise CorpusInputError(f"cannot read {source.label}: {error.strerror}", code="file-not-found") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CorpusInputError(f"{source.label} is damaged: {reason}", code="corrupt-input") from error


def _columns(schema: pa.Schema, source: Source) -> list[str]:
    """Those to read."""
    if schema.names.count(_TEXT) != 1:
        names = ", ".join(schema.names[:12]) or "none"
        message = f"{source.label} has no column {_TEXT!r}; its columns are: {names}"
        raise CorpusInputError(message, code="unknown-columns")
    if not is_text(kind := schema.field(_TEXT).type):
        message = f"{source.label}: the column {_TEXT!r} holds {kind}, not strings"
        raise CorpusInputError(message, code="unknown-columns")
    return [_TEXT, *(name for name in _OTHERS if schema.names.count(name) == 1)]


def _row(number: int, values: dict[str, Any], max_chars: int) -> Record | Refusal:
    text = values[_TEXT]
    if text is None or (isinstance(text, str) and not text.strip()):
        return Refusal(number, Reason.EMPTY, "no text")
    try:
        if isinstance(text, TooLong):
            raise too_long(text, max_chars)
        identifier, document = (name_of(values, name, max_chars) for name in ("id", "doc_id"))
    except RefusedLineError as refusal:
        return Refusal(number, refusal.reason, refusal.detail)
    return Record(number, text, identifier, document, None, isinstance(values.get("title"), str | TooLong))
