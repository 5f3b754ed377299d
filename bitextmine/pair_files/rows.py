"""Rows of Parquet files as Python values: few at a time, and no string that is too long."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bitextmine.corpus.cleaning import Reason, RefusedLineError, name_in
from bitextmine.corpus.readers import Limits, changed, check_size

_BATCH_ROWS, _BATCH_BYTES = 1_024, 32 << 20  # the most rows that are decoded at once, and about the most bytes
_AT_ONCE_CHARS = 4_000_000  # in the rows that are Python values at once, about


@dataclass(frozen=True, slots=True)
class TooLong:
    """In a row, in place of a string of so many characters."""

    chars: int


@contextmanager
def opened_parquet(path: Path, name: str, sha256: str = "") -> Iterator[pq.ParquetFile]:
    """A Parquet file that stays as it is until it has been read.

    Strings stay in dictionaries where they are, so that one that many rows repeat is held once.

    Args:
        sha256: what the file's bytes must amount to in the end; not looked at when empty.

    Raises:
        CorpusInputError: `input-changed`.
        OSError, pa.ArrowException: it cannot be read.
    """
    with path.open("rb") as stream:
        metadata = pq.read_metadata(stream)
        strings = [path for path, kind in _leaves(metadata) if kind == "BYTE_ARRAY"]
        options = {"pre_buffer": False, "page_checksum_verification": True, "read_dictionary": strings}
        with pq.ParquetFile(stream, metadata=metadata, **options) as file:
            yield file
        stream.seek(0)
        if sha256 and hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise changed(name)


def _leaves(metadata: pq.FileMetaData) -> list[tuple[str, str]]:
    """The path and the physical type of every column, those of nested values too: meta.list.element."""
    leaves = map(metadata.schema.column, range(metadata.num_columns))
    return [(leaf.path, leaf.physical_type) for leaf in leaves]


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def rows_in(
    file: pq.ParquetFile, columns: Sequence[str], limits: Limits, max_chars: int, *, name: str, size: int
) -> Iterator[list[dict[str, Any]]]:
    """The rows in their order, some at a time; strings of more than `max_chars` characters are a TooLong.

    Args:
        size: of the file in bytes.

    Raises:
        CorpusInputError: `input-too-large`, `decompression-bomb`.
        OSError, pa.ArrowException, UnicodeDecodeError: it cannot be read.
    """
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    wanted = (chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in columns)
    expanded = sum(chunk.total_uncompressed_size for chunk in wanted)
    check_size(name, expanded, size, limits)
    mean = expanded // max(file.metadata.num_rows, 1)
    for batch in file.iter_batches(max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(mean, 1))), columns=list(columns)):
        lengths = {column: _lengths(batch[column]) for column in columns if is_text(batch[column].type)}
        longest = max((min(int(each.max(initial=0)), max_chars) for each in lengths.values()), default=0)
        step = max(1, _AT_ONCE_CHARS // max(longest, 1))
        for start in range(0, len(batch), step):
            part = batch.slice(start, step)
            values = [_values(part[column], lengths.get(column), start, max_chars) for column in columns]
            yield [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def name_of(row: dict[str, Any], name: str, max_chars: int) -> str | None:
    """An identifier in a row; None where there is none or an empty one.

    Raises:
        RefusedLineError: see `name_in`.
    """
    if isinstance(value := row.get(name), TooLong):
        raise RefusedLineError(Reason.BAD_RECORD, f'"{name}": {too_long(value, max_chars).detail}')
    return name_in(row, name, max_chars)


def too_long(value: TooLong, max_chars: int) -> RefusedLineError:
    return RefusedLineError(Reason.TOO_LONG, f"{value.chars:,} characters, more than {max_chars:,}")


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    """Characters of each string, 0 where there is none, (n,)."""
    if isinstance(column, pa.DictionaryArray):
        counted = pc.utf8_length(column.dictionary).take(column.indices)
    else:
        counted = pc.utf8_length(column)
    lengths: NDArray[np.int64] = counted.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _values(column: pa.Array, lengths: NDArray[np.int64] | None, start: int, max_chars: int) -> list[Any]:
    if lengths is None or (lengths[start : start + len(column)] <= max_chars).all():
        plain = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        values: list[Any] = plain.to_pylist()
        return values
    counted = zip(column, lengths[start : start + len(column)].tolist(), strict=True)
    return [TooLong(count) if count > max_chars else value.as_py() for value, count in counted]
