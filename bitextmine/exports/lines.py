"""Pairs as lines: TSV, JSONL, and one side alone. Nothing in a sentence breaks a line or a column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from bitextmine.pairs_file import rounded

TSV_COLUMNS = ("margin", "src", "tgt")
# A tab, and all that Unicode or str.splitlines takes for the end of a line.
_BREAKS = r"[\t\n\v\f\r\x1c\x1d\x1e\x{85}\x{2028}\x{2029}]"
_NOT_ESCAPED = re.compile("[\x85\u2028\u2029]")  # breaks that JSON leaves as they are
_encode_json = json.JSONEncoder(ensure_ascii=False).encode


def tsv_lines(batch: pa.RecordBatch) -> bytes:
    """Margin, src and tgt with tabs between them; a tab or a break of the sentence's own is a space."""
    margins = batch["margin"].to_pylist()
    src, tgt = (one_line(batch[side]).to_pylist() for side in ("src", "tgt"))
    return _joined(f"{margin:.6f}\t{a}\t{b}" for margin, a, b in zip(margins, src, tgt, strict=True))


def side_lines(texts: pa.StringArray) -> bytes:
    """A sentence a line; a tab or a break of its own is a space."""
    return _joined(one_line(texts).to_pylist())


def jsonl_lines(batch: pa.RecordBatch) -> bytes:
    """An object a line, of all columns and with the sentences as they are; float32 scores have six decimals."""
    lines = (_encode_json(rounded(row)) for row in batch.to_pylist())
    return _joined(_NOT_ESCAPED.sub(_escaped, line) for line in lines)


def one_line(texts: pa.StringArray) -> pa.StringArray:
    """Sentences with a space for each tab and each break."""
    return pc.replace_substring_regex(texts, _BREAKS, " ")


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
