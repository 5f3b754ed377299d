"""Parquet files of pairs, such as a bitext's export: a column src, a column tgt, and what else is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bitextmine.corpus.cleaning import RefusedLineError
from bitextmine.corpus.readers import Limits
from bitextmine.errors import CorpusInputError
from bitextmine.pair_files.pairs import PairBlock, Side, bad_record, clean_side, printable
from bitextmine.pair_files.rows import TooLong, is_text, name_of, opened_parquet, rows_in, too_long

_SIDES = (("src", "source"), ("tgt", "target"))
_TEXTS = ("src", "tgt")
_NAMES = ("src_id", "tgt_id", "src_doc_id", "tgt_doc_id")
_RAW = 4  # times the characters of a sentence may stand there: several may compose to one, and spaces are stripped


def read_parquet(path: Path, limits: Limits, sha256: str = "") -> Iterator[PairBlock]:
    """The pairs of a Parquet file, a row being a line; `consumed` counts rows.

    Args:
        sha256: what the file's bytes must amount to in the end; not looked at when empty.

    Raises:
        CorpusInputError: `file-not-found`, `corrupt-input`, `unknown-columns`, `input-too-large`,
            `decompression-bomb`, `input-changed`.
    """
    name = printable(str(path))
    try:
        with opened_parquet(path, name, sha256) as file:
            columns = _columns(file.schema_arrow, name)
            first, size = 1, path.stat().st_size
            for rows in rows_in(file, columns, limits, _RAW * limits.max_chars, name=name, size=size):
                yield _block(rows, first, limits.max_chars)
                first += len(rows)
    except FileNotFoundError as error:
        raise CorpusInputError(f"cannot read {name}: {error.strerror}", code="file-not-found") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise CorpusInputError(f"{name} is no Parquet file that can be read: {why}", code="corrupt-input") from error


def _columns(schema: pa.Schema, name: str) -> list[str]:
    """Those to read: of strings and numbers, which is all that is known of a pair."""
    for side, _ in _SIDES:
        if schema.get_field_index(side) < 0 or not is_text(schema.field(side).type):
            found = ", ".join(f"{column.name} {_shown(column.type)}"[:40] for column in list(schema)[:8])
            message = f"{name} has not one column {side} of strings: its columns are {found}"
            raise CorpusInputError(message, code="unknown-columns")
    return [column.name for column in schema if _is_read(column) and schema.names.count(column.name) == 1]


def _is_read(column: pa.Field) -> bool:
    kind = column.type
    return column.name in _NAMES or is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _shown(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _block(rows: list[dict[str, Any]], first: int, max_chars: int) -> PairBlock:
    block = PairBlock(consumed=first - 1 + len(rows))
    for line, row in enumerate(rows, start=first):
        try:
            sides = [_side(row, side, what, max_chars) for side, what in _SIDES]
        except RefusedLineError as refusal:
            block.refuse(line, refusal)
        else:
            block.add(line, sides[0], sides[1], {name: value for name, value in row.items() if name not in _TEXTS})
    return block


def _side(row: dict[str, Any], side: str, what: str, max_chars: int) -> Side:
    text = row[side]
    if isinstance(text, TooLong):
        refusal = too_long(text, max_chars)
        raise RefusedLineError(refusal.reason, f"{what}: {refusal.detail}")
    if not isinstance(text, str):
        raise bad_record(f"no {what}")
    identifier, document = (name_of(row, f"{side}_{name}", max_chars) for name in ("id", "doc_id"))
    return Side(clean_side(what, text, max_chars), identifier, document)
