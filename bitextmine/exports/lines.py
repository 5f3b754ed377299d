"""Pairs as lines: TSV, JSONL, and one side alone. Nothing in a sentence breaks a line or a column."""

from __future__ import annotations

import json
import re
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TSV_COLUMNS = ("margin", "src", "tgt")
DECIMALS = 6  # as many as a float32 score holds
# A tab, and all that Unicode or str.splitlines takes for the end of a line.
_BREAKS = r"[\t\n\v\f\r\x1c\x1d\x1e\x{85}\x{2028}\x{2029}]"
_ESCAPED_SINGLY = r"[\x00-\x1f\x{85}\x{2028}\x{2029}]"  # in JSON, by what is not fast and hardly ever needed
_NOT_ESCAPED = re.compile("[\x85\u2028\u2029]")  # breaks that JSON leaves as they are


def tsv_lines(batch: pa.RecordBatch) -> bytes:
    """Margin (where the batch has it), src and tgt with tabs between them; a tab or a break of the sentence's own is a
    space."""
    margin = (pc.fill_null(fixed(batch["margin"]), ""), "\t") if "margin" in batch.schema.names else ()
    return joined(*margin, one_line(batch["src"]), "\t", one_line(batch["tgt"]), "\n")


def side_lines(texts: pa.StringArray) -> bytes:
    """A sentence a line; a tab or a break of its own is a space."""
    return joined(one_line(texts), "\n")


def jsonl_lines(batch: pa.RecordBatch) -> bytes:
    """An object a line, of all columns and with the sentences as they are; float32 scores have six decimals."""
    names = batch.schema.names
    keys = [f'{", " if position else "{"}"{name}": ' for position, name in enumerate(names)]
    return joined(*chain.from_iterable(zip(keys, map(_json, batch.columns), strict=True)), "}\n")


def joined(*columns: pa.StringArray | str) -> bytes:
    """The rows of these columns, or of the same text for each row, as UTF-8, behind one another. No value is null."""
    rows = pc.binary_join_element_wise(*columns, "")
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "")
    content: bytes = whole[0].as_buffer().to_pybytes()
    return content


def one_line(texts: pa.StringArray) -> pa.StringArray:
    """Sentences with a space for each tab and each break."""
    return pc.replace_substring_regex(texts, _BREAKS, " ")


def fixed(scores: pa.FloatArray) -> pa.StringArray:
    """Scores with six decimals; nulls stay."""
    texts = (None if score is None else f"{score:.{DECIMALS}f}" for score in scores.to_pylist())
    return pa.array(texts, pa.string())


def _json(column: pa.Array) -> pa.StringArray:
    """Values as JSON, null for a null."""
    if pa.types.is_string(column.type):
        values = pc.binary_join_element_wise('"', _json_escaped(column), '"', "")
    elif pa.types.is_floating(column.type):
        scores = np.round(column.to_numpy(zero_copy_only=False).astype(np.float64), DECIMALS)  # a null is NaN
        values = pa.array(list(map(repr, scores.tolist())), pa.string(), mask=np.isnan(scores))
    else:
        values = column.cast(pa.string())
    return pc.fill_null(values, "null")


def _json_escaped(texts: pa.StringArray) -> pa.StringArray:
    if pc.any(pc.match_substring_regex(texts, _ESCAPED_SINGLY)).as_py():
        return pa.array([text if text is None else _escaped(text) for text in texts.to_pylist()], pa.string())
    return pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')


def _escaped(text: str) -> str:
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return _NOT_ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", inside)
