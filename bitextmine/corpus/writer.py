"""The files of a corpus artifact, written as its blocks come in."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bitextmine.corpus.cleaning import Refusal, SentenceBlock
from bitextmine.corpus.corpus import COPIES, COPY_SCHEMA, SENTENCE_SCHEMA, SENTENCES
from bitextmine.corpus.dedup import SeenSentences, hash_sentences
from bitextmine.corpus.refused import REFUSED, RefusalLog


@dataclass(slots=True)
class _Rows:
    """Sentences waiting to fill a shard."""

    texts: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    doc_ids: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)


class CorpusWriter:
    """Writes the sentence shards, the copies and the refusals of a corpus as its blocks come in."""

    def __init__(self, directory: Path, shard_rows: int) -> None:
        self.duplicates = 0
        self.shard_digests: list[str] = []
        self._directory, self._shard_rows = directory, shard_rows
        self._seen = SeenSentences()
        self._waiting = _Rows()
        self._stack = ExitStack()

    @property
    def sentences(self) -> int:
        return self._seen.count

    @property
    def refused(self) -> Counter[str]:
        return self._refusals.counts

    @property
    def first(self) -> Refusal | None:
        """The first refusal that says more than "no text"."""
        return self._refusals.first

    def __enter__(self) -> Self:
        self._shards = self._open_arrow(SENTENCES, SENTENCE_SCHEMA)
        self._copies = self._open_arrow(COPIES, COPY_SCHEMA)
        self._refusals = RefusalLog(self._stack.enter_context((self._directory / REFUSED).open("w", encoding="utf-8")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None and self._waiting.texts:
                self._write_shard(len(self._waiting.texts))

    def add(self, block: SentenceBlock) -> NDArray[np.int64]:
        """Take a block in; returns the row in the corpus of each of its sentences, (n,)."""
        self._refusals.add(block.refused)
        if not block.texts:
            return np.empty(0, np.int64)
        known = self._seen.count
        hashes = hash_sentences(block.texts)
        rows = self._seen.add(hashes)
        new = _first_appearances(rows, known)
        self._keep(block, hashes, np.flatnonzero(new))
        self._remember(block, rows, np.flatnonzero(~new))
        while len(self._waiting.texts) >= self._shard_rows:
            self._write_shard(self._shard_rows)
        return rows

    def _keep(self, block: SentenceBlock, hashes: NDArray[np.uint64], positions: NDArray[np.int64]) -> None:
        waiting, digests = self._waiting, hashes.tobytes()
        for i in positions.tolist():
            waiting.texts.append(block.texts[i])
            waiting.ids.append(block.ids[i] or str(block.lines[i]))
            waiting.doc_ids.append(block.doc_ids[i])
            waiting.lines.append(block.lines[i])
            waiting.hashes.append(digests[16 * i : 16 * i + 16])

    def _remember(self, block: SentenceBlock, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> None:
        self.duplicates += len(positions)
        if not len(positions):
            return
        copies = positions.tolist()
        columns = [
            pa.array(rows[positions], pa.int64()),
            pa.array([block.ids[i] or str(block.lines[i]) for i in copies], pa.large_string()),
            pa.array([block.doc_ids[i] for i in copies], pa.large_string()),
            pa.array([block.lines[i] for i in copies], pa.int64()),
        ]
        self._copies.write_batch(pa.record_batch(columns, schema=COPY_SCHEMA))

    def _write_shard(self, count: int) -> None:
        waiting = self._waiting
        hashes = waiting.hashes[:count]
        columns = [
            pa.array(waiting.texts[:count], pa.large_string()),
            pa.array(waiting.ids[:count], pa.large_string()),
            pa.array(waiting.doc_ids[:count], pa.large_string()),
            pa.array(waiting.lines[:count], pa.int64()),
            pa.array(hashes, pa.binary(16)),
        ]
        self._shards.write_batch(pa.record_batch(columns, schema=SENTENCE_SCHEMA))
        self.shard_digests.append(sha256(b"".join(hashes)).hexdigest()[:32])
        for column in (waiting.texts, waiting.ids, waiting.doc_ids, waiting.lines, waiting.hashes):
            del column[:count]

    def _open_arrow(self, name: str, schema: pa.Schema) -> pa.ipc.RecordBatchFileWriter:
        sink = self._stack.enter_context(pa.OSFile(str(self._directory / name), "wb"))
        return self._stack.enter_context(pa.ipc.new_file(sink, schema))


def _first_appearances(rows: NDArray[np.int64], known: int) -> NDArray[np.bool_]:
    """Where a row number is new: rows are numbered by first appearance, so new ones are the running maximum's steps."""
    highest = np.maximum.accumulate(np.concatenate(([known - 1], rows)))
    return np.asarray(highest[1:] > highest[:-1])
