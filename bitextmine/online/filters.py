"""Which rows of a corpus a search may find: those of some documents, those with some metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bitextmine.corpus.corpus import META
from bitextmine.online.sentences import SentenceReader

_ESCAPED = frozenset('"\\/')  # what JSON may write in several ways, beside what is not ASCII


@dataclass(frozen=True, slots=True)
class Filter:
    """All of `meta` must be as it says, and the document one of `doc_ids` unless that is None."""

    doc_ids: frozenset[str] | None = None
    meta: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, doc_ids: Sequence[str] | None = None, meta: Mapping[str, str] | None = None) -> Filter:
        return cls(None if doc_ids is None else frozenset(doc_ids), tuple(sorted((meta or {}).items())))

    @property
    def passes_all(self) -> bool:
        return self.doc_ids is None and not self.meta


def rows_where(sentences: SentenceReader, wanted: Filter) -> NDArray[np.int64]:
    """The rows that pass, (n,) rising.

    A sentence that several documents have is in each of them. Metadata is that of its first appearance; a corpus
    without metadata has no row that passes a filter by it.
    """
    parts = [np.flatnonzero(mask) + start for start, mask in _masks(sentences, wanted)]
    rows = np.concatenate([np.empty(0, np.int64), *parts])
    if wanted.doc_ids is None or not int(sentences.corpus.summary["duplicates"]):
        return rows
    copies = sentences.corpus.copies()
    repeated = pc.filter(copies["sentence"], _among(copies["doc_id"], wanted.doc_ids)).to_numpy()
    if wanted.meta:
        having = rows_where(sentences, Filter(meta=wanted.meta))
        repeated = np.intersect1d(repeated, having)
    return np.union1d(rows, repeated).astype(np.int64)


def _masks(sentences: SentenceReader, wanted: Filter) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """The first row of each shard, and which of the shard's rows pass."""
    for shard in sentences.corpus.shards:
        batch = sentences.shard(shard.number)
        mask = np.ones(len(batch), np.bool_)
        if wanted.doc_ids is not None:
            mask &= _among(batch.column("doc_id"), wanted.doc_ids).to_numpy(zero_copy_only=False)
        if wanted.meta:
            mask &= _with_meta(batch, wanted.meta)
        yield shard.start, mask


def _among(column: pa.Array | pa.ChunkedArray, values: frozenset[str]) -> pa.Array | pa.ChunkedArray:
    """Where a column of strings, or nulls, has one of these values."""
    return pc.is_in(column, value_set=pa.array(sorted(values), pa.large_string()))


def _with_meta(batch: pa.RecordBatch, wanted: Sequence[tuple[str, str]]) -> NDArray[np.bool_]:
    found = np.zeros(len(batch), np.bool_)
    if META not in batch.schema.names:
        return found
    column = batch.column(META)
    likely = pc.is_valid(column)
    for _, value in wanted:  # parsing is slow: only what has the value's letters in it is worth it
        if value.isascii() and value.isprintable() and not _ESCAPED.intersection(value):
            likely = pc.and_(likely, pc.fill_null(pc.match_substring(column, value), False))
    for place in np.flatnonzero(likely.to_numpy(zero_copy_only=False)).tolist():
        record = json.loads(column[place].as_py())
        found[place] = all(record.get(name) == value for name, value in wanted)
    return found
