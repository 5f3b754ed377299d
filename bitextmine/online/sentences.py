"""Sentences of a corpus by row, for the few hits of a search."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bitextmine.corpus import Corpus
from bitextmine.corpus.corpus import META


@dataclass(frozen=True, slots=True)
class StoredSentence:
    """A sentence with its provenance: that of its first appearance in the file."""

    text: str
    id: str
    doc_id: str | None
    source: str  # the file's name
    line: int  # of the file, counted from 1
    meta: Mapping[str, Any]


class SentenceReader:
    """Reads sentences one at a time; shards stay mapped once they were read from. Shared by threads."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._lock = threading.Lock()
        self._shards: dict[int, pa.RecordBatch] = {}

    def at(self, row: int) -> StoredSentence:
        number, place = divmod(row, self.corpus.shard_rows)
        shard = self.shard(number)
        text, identifier, document, line = (
            shard.column(name)[place].as_py() for name in ("text", "id", "doc_id", "line")
        )
        meta = shard.column(META)[place].as_py() if META in shard.schema.names else None
        source = self.corpus.part_of(row).source
        return StoredSentence(text, identifier, document, source, line, json.loads(meta) if meta else {})

    def shard(self, number: int) -> pa.RecordBatch:
        with self._lock:
            if number not in self._shards:
                self._shards[number] = self.corpus.shard_batch(number)
            return self._shards[number]
