"""Parquet files of pairs, such as a bitext's export: a column src, a column tgt, and what else is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bitextmine.corpus.cleaning import RefusedLineError, name_in
from bitextmine.corpus.readers import Limits
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.pairs import PairBlock, Side, bad_record, clean_side, printable

_ROWS = 1024
_SIDES = (("src", "source"), ("tgt", "target"))


def read_parquet(path: Path, limits: Limits) -> Iterator[PairBlock]:
    """The pairs of a Parquet file, a row being a line; `consumed` counts rows. Holds a row group in memory.

    Raises:
        CorpusInputError: `file-not-found`, `corrupt-input`, `unknown-columns`, `input-too-large`.
    """
    name = printable(str(path))
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check(file, limits, name)
            first = 1
            for batch in file.iter_batches(_ROWS):
                yield _block(batch.to_pylist(), first, limits.max_chars)
                first += len(batch)
    except FileNotFoundError as error:
        raise CorpusInputError(f"cannot read {name}: {error.strerror}", code="file-not-found") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise CorpusInputError(f"{name} is no Parquet file that can be read: {why}", code="corrupt-input") from error


def _check(file: pq.ParquetFile, limits: Limits, name: str) -> None:
    schema = file.schema_arrow
    for side, _ in _SIDES:
        kind = schema.field(side).type if schema.get_field_index(side) >= 0 else None
        if kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            found = ", ".join(f"{column.name} {column.type}"[:40] for column in list(schema)[:8])
            message = f"{name} has not one column {side} of strings: its columns are {found}"
            raise CorpusInputError(message, code="unknown-columns")
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    if size > limits.max_bytes:
        message = f"{name} has {size:,} bytes when it is decompressed, more than {limits.max_bytes:,}"
        raise CorpusInputError(message, code="input-too-large")


def _block(rows: list[dict[str, object]], first: int, max_chars: int) -> PairBlock:
    block = PairBlock(consumed=first - 1 + len(rows))
    for line, row in enumerate(rows, start=first):
        try:
            sides = [_side(row, side, what, max_chars) for side, what in _SIDES]
        except RefusedLineError as refusal:
            block.refuse(line, refusal)
        else:
            block.add(line, sides[0], sides[1], row)
    return block


def _side(row: dict[str, object], side: str, what: str, max_chars: int) -> Side:
    text = row[side]
    if not isinstance(text, str):
        raise bad_record(f"no {what}")
    identifier, document = (name_in(row, f"{side}_{name}", max_chars) for name in ("id", "doc_id"))
    return Side(clean_side(what, text, max_chars), identifier, document)
